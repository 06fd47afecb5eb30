"""The smooth colours of foreground and background."""

import cv2
import numpy as np
import pytest

from trtkit.models.imaging.colour_fields import COARSE, FAR, WHITE, _window, colour_fields

from .blur_fusion import plain_fields
from .scenes import hair_over_ground


def estimates(image: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F̂ and B̂ as colours of 0..255: float32 [⌈H/2⌉, ⌈W/2⌉, 3]."""
    ahead, step = colour_fields(image, alpha)
    assert ahead.shape == step.shape == (-(-alpha.shape[0] // 2), -(-alpha.shape[1] // 2), 3)
    assert ahead.dtype == step.dtype == np.float32
    return (ahead + step) * 255 / WHITE, (ahead + 2 * step) * 255 / WHITE


def block_means(field: np.ndarray) -> np.ndarray:
    """float64 [⌈H/2⌉, ⌈W/2⌉, C] of [H, W, C]."""
    field = np.pad(field, [(0, field.shape[0] % 2), (0, field.shape[1] % 2), (0, 0)], mode="edge")
    return field.reshape(field.shape[0] // 2, 2, field.shape[1] // 2, 2, -1).mean(axis=(1, 3))


@pytest.mark.parametrize(("size", "fronts", "backs"), [((512, 512), 0.45, 0.4), ((341, 499), 0.55, 0.8)])
@pytest.mark.parametrize("kind", ["hair", "soft", "each pixel its own"])
def test_they_are_the_formulas(portrait_pixels, size, fronts, backs, kind):
    """Grey levels in the mean, by how much of them is there. The second size is none of whole blocks: at its lower and
    right borders a few more mirrored pixels count."""
    rgb = cv2.resize(portrait_pixels, size[::-1], interpolation=cv2.INTER_AREA)
    _, alpha, _ = hair_over_ground(*size)
    if kind == "soft":
        alpha = cv2.GaussianBlur(alpha, (0, 0), 6)
    elif kind != "hair":
        alpha = np.random.default_rng(0).choice(np.array([0, 40, 128, 210, 255], np.uint8), size)
    share = alpha[..., None] / 255.0
    for found, plain, weight, limit in zip(
        estimates(rgb, alpha), plain_fields(rgb, alpha), (share, 1 - share), (fronts, backs), strict=True
    ):
        there = block_means(weight)
        difference = np.abs(found - block_means(plain)) * there
        assert difference.sum() / there.sum() / 3 < limit


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 1), (7, 7), (9, 300)])
def test_of_the_smallest_pictures_they_lie_among_the_colours_there_are(size):
    rng = np.random.default_rng(4)
    rgb, alpha = rng.integers(100, 140, (*size, 3), np.uint8), rng.integers(64, 192, size, np.uint8)
    for estimate in estimates(rgb, alpha):
        assert 80 < estimate.min() <= estimate.max() < 160


@pytest.mark.parametrize(("value", "front", "back"), [(255, True, False), (0, False, True), (128, True, True)])
def test_where_nothing_of_its_kind_is_in_reach_the_estimate_is_nothing(value, front, back):
    colour = np.array((17, 130, 251))
    found = estimates(np.full((40, 56, 3), colour, np.uint8), np.full((40, 56), value, np.uint8))
    for estimate, there in zip(found, (front, back), strict=True):
        assert np.abs(estimate - colour * there).max() < 0.2


def test_a_colour_behind_reaches_half_the_wide_window():
    image = np.full((256, 256, 3), 255, np.uint8)
    image[:, 128:] = (255, 0, 0)
    _, back = estimates(image, np.full((256, 256), 128, np.uint8))
    green, reach = back[64, :, 1], (FAR // 2 + COARSE) // 2
    assert np.abs(green[: 64 - reach] - 255).max() < 0.2
    assert np.abs(green[64 + reach :]).max() < 0.2
    assert (np.diff(green) < 0.01).all()
    assert green[64 - FAR // 8] > 160 > 95 > green[64 + FAR // 8]


@pytest.mark.parametrize(("across", "factors"), [(6.5, 7), (FAR / COARSE, 13), (3, 3)])
def test_a_windows_factors_are_the_part_of_each_block_in_it(across, factors):
    window = _window(across)
    assert len(window) in (factors, factors + 2)
    assert window.sum() == pytest.approx(1)
    assert np.array_equal(window, window[::-1])
    assert window[len(window) // 2] == pytest.approx(1 / across)


def test_what_was_handed_over_is_left_alone():
    rgb, alpha, _ = hair_over_ground(101, 99)
    kept = rgb.copy(), alpha.copy()
    colour_fields(rgb, alpha)
    assert np.array_equal(rgb, kept[0])
    assert np.array_equal(alpha, kept[1])
