"""Alpha at full size: solid stays solid, and the guide brings hair back."""

import cv2
import numpy as np
import pytest

from trtkit.models.imaging.letterbox import resize
from trtkit.models.imaging.tiles import sample, tiles_with
from trtkit.models.imaging.upsample import upsample_alpha

from .scenes import hair_over_ground


def half_solid(value: int) -> np.ndarray:
    alpha = np.full((40, 60), value, np.uint8)
    alpha[:, 30:34] = [60, 120, 180, 220]
    alpha[:, 34:] = 255 - value
    return alpha


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("guided", [False, True])
def test_solid_regions_stay_exact(value, guided):
    guide = np.random.default_rng(0).integers(0, 255, (400, 601, 3), dtype=np.uint8) if guided else None
    large = upsample_alpha(half_solid(value), (400, 601), guide)
    assert large.shape == (400, 601)
    assert large.dtype == np.uint8
    assert (large[:, :270] == value).all()
    assert (large[:, 370:] == 255 - value).all()


def test_the_guide_lowers_the_error_of_hair():
    rgb, alpha, _ = hair_over_ground()
    small = resize(alpha, (120, 160))
    band = (cv2.resize(small, (640, 480)) % 255) > 0
    plain, guided = (
        np.abs(upsample_alpha(small, (480, 640), guide).astype(int) - alpha)[band].mean() for guide in (None, rgb)
    )
    assert guided < 0.6 * plain


def test_a_guide_at_hand_gives_the_same():
    rgb, alpha, _ = hair_over_ground()
    small = resize(alpha, (120, 160))
    assert np.array_equal(
        upsample_alpha(small, (480, 640), rgb), upsample_alpha(small, (480, 640), rgb, resize(rgb, (120, 160)))
    )


@pytest.mark.parametrize("soft", [0, 3])
@pytest.mark.parametrize("times", [1.01, 1.2, 1.45])
def test_a_little_smaller_is_as_good_as_an_area_mean(times, soft):
    """Of an alpha that is known at four times the size: what it would have been at the smaller one."""
    _, fine, _ = hair_over_ground(384 * 4, 512 * 4)
    if soft:
        fine = cv2.GaussianBlur(fine, (0, 0), soft)
    size = round(384 / times), round(512 / times)
    small, truth = resize(fine, (384, 512)), resize(fine, size).astype(int)
    errors = [
        np.abs(made - truth)[(truth > 0) & (truth < 255)].mean()
        for made in (upsample_alpha(small, size), resize(small, size))
    ]
    assert errors[0] < 1.01 * errors[1]


def test_much_smaller_is_an_area_mean():
    _, alpha, _ = hair_over_ground(384, 512)
    assert np.array_equal(upsample_alpha(alpha, (192, 256)), resize(alpha, (192, 256)))


@pytest.mark.parametrize("size", [(1, 1), (20, 30), (40, 60), (40, 900)])
def test_any_size_and_the_input_is_left_alone(size):
    small = half_solid(0)
    before = small.copy()
    large = upsample_alpha(small, size, np.zeros((*size, 3), np.uint8))
    assert large.shape == size
    large[:] = 7
    assert np.array_equal(small, before)


def test_a_tile_shows_what_a_whole_resize_shows():
    field = np.random.default_rng(0).random((37, 53, 4)).astype(np.float32)
    size = (311, 402)
    whole = cv2.resize(field, size[::-1], interpolation=cv2.INTER_LINEAR)
    for tile in tiles_with(np.ones((37, 53)), size):
        assert np.abs(sample(field, tile, size) - whole[tile]).max() < 0.03


def test_tiles_cover_all_that_a_mask_reaches():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = (rng.random((23, 31)) < 0.01).astype(np.float32)
        size = (500, 700)
        left = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_LINEAR)
        for tile in tiles_with(mask, size):
            left[tile] = 0
        assert not left.any()
