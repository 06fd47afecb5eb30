"""The colours of what is half transparent, beside the formula they come from and beside the truth."""

import cv2
import numpy as np
import pytest

from trtkit.models.imaging import compose, foreground
from trtkit.models.imaging.compose import cutout, over_background
from trtkit.models.imaging.foreground import visible_foreground

from .blur_fusion import plainly_estimated
from .scenes import hair_over_ground


def hair(size: tuple[int, int], soft: float) -> np.ndarray:
    _, alpha, _ = hair_over_ground(*size)
    return cv2.GaussianBlur(alpha, (0, 0), soft) if soft else alpha


def seen(difference: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Grey levels by which colours differ where alpha is between, as much as alpha shows of them: float64 [n, 3]."""
    semi = (alpha > 0) & (alpha < 255)
    return np.abs(difference[semi]) * alpha[semi, None] / 255.0


@pytest.mark.parametrize("soft", [0, 1.5, 4])
@pytest.mark.parametrize("size", [(512, 512), (341, 500)])
@pytest.mark.parametrize("before", ["the photograph", "one dark colour"])
def test_as_near_to_the_truth_as_the_formula(portrait_pixels, size, soft, before):
    """With products of colours and alphas that were averaged first, sharp hair has 1.08 to 1.13 of the error."""
    front = cv2.resize(portrait_pixels, size[::-1]).astype(np.float64)
    behind = front[::-1]
    if before == "one dark colour":
        front = hair_over_ground(*size)[2].astype(np.float64)
    alpha = hair(size, soft)
    share = alpha[..., None] / 255.0
    rgb = np.rint(front * share + behind * (1 - share)).astype(np.uint8)
    error, blended, formulas = (
        seen(colours - front, alpha).mean()
        for colours in (visible_foreground(rgb, alpha), rgb, plainly_estimated(rgb, alpha))
    )
    assert error < 1.005 * formulas
    assert error < 0.87 * blended


@pytest.mark.parametrize(
    ("kind", "mean", "nearly_all"), [("hair", 0.27, 2.6), ("soft", 0.15, 1.2), ("everywhere", 0.21, 1.9)]
)
def test_a_photographs_cutout_is_the_formulas_to_a_fraction_of_a_grey_level(portrait_pixels, kind, mean, nearly_all):
    """Rounding alone is 0.07 to 0.14 of it. The rest lies where alpha rises by a hundred levels a pixel."""
    size = portrait_pixels.shape[:2]
    alpha = {
        "hair": hair(size, 0),
        "soft": hair(size, 9),
        "everywhere": np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8),
    }[kind]
    plain = plainly_estimated(portrait_pixels, alpha)
    difference = seen(cutout(portrait_pixels, alpha)[..., :3] - plain, alpha)
    assert difference.mean() < mean
    assert np.percentile(difference, 99.9) < nearly_all
    assert difference.max() < 4.5
    share = alpha[..., None] / 255.0
    behind = np.array((0, 200, 90))
    over = over_background(portrait_pixels, alpha, (0, 200, 90)) - (plain * share + (1 - share) * behind)
    assert np.abs(over).mean() < mean + 0.15  # rounded once more
    assert np.abs(over).max() < 5


@pytest.mark.parametrize("size", [(900, 1200), (601, 777)])
def test_a_large_picture_is_as_near_to_the_truth_as_at_the_size_of_its_estimate(portrait_pixels, size):
    def error(height: int, width: int) -> float:
        front = cv2.resize(portrait_pixels, (width, height)).astype(np.float64)
        alpha = cv2.resize(hair(size, 2), (width, height), interpolation=cv2.INTER_AREA)
        share = alpha[..., None] / 255.0
        rgb = np.rint(front * share + front[::-1] * (1 - share)).astype(np.uint8)
        return seen(visible_foreground(rgb, alpha) - front, alpha).mean()

    assert error(*size) < 1.02 * error(size[0] * 512 // size[1], 512)


@pytest.mark.parametrize("shape", [(384, 512), (300, 201), (1, 40), (40, 1), (2, 2)])
def test_a_picture_done_in_strips_is_what_it_is_in_one_and_in_blocks(monkeypatch, shape):
    rng = np.random.default_rng(2)
    rgb = rng.integers(0, 256, (*shape, 3), np.uint8)
    alpha = np.where(rng.random(shape) < 0.3, rng.integers(0, 256, shape), 255).astype(np.uint8)

    def both() -> tuple[np.ndarray, np.ndarray]:
        return cutout(rgb, alpha), over_background(rgb, alpha, (9, 200, 90))

    ways = [both()]
    for strips in (1, 2, 7):
        monkeypatch.setattr(foreground, "WHOLE", 0)
        monkeypatch.setattr(foreground, "STRIPS", strips)
        ways.append(both())
    if not (shape[0] % 2 or shape[1] % 2):  # else the estimate of the blocks is made at another size
        for module in (compose, foreground):
            monkeypatch.setattr(module, "is_small", lambda alpha: False)
        monkeypatch.setattr(foreground, "content_size", lambda size, canvas: size)
        ways.append(both())
    for way in ways[1:]:
        for one, other in zip(ways[0], way, strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("size", [(37, 53), (512, 384), (600, 800)])
def test_solid_is_left_alone_and_nothing_is_black(size):
    rng = np.random.default_rng(3)
    rgb = rng.integers(0, 256, (*size, 3), np.uint8)
    alpha = rng.choice(np.array([0, 1, 128, 254, 255], np.uint8), size)
    for matte in (alpha, np.zeros_like(alpha), np.full_like(alpha, 255)):
        colours = visible_foreground(rgb, matte)
        assert np.array_equal(colours[matte == 255], rgb[matte == 255])
        assert not colours[matte == 0].any()
