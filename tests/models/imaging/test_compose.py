"""Cut-outs and backgrounds, on a composite whose foreground is known."""

import sys

import numpy as np
import pytest

from trtkit.errors import Mistake
from trtkit.models.imaging.background import read_background
from trtkit.models.imaging.compose import cutout, over_background, parse_color

from .scenes import hair_over_ground


def test_cutout_takes_the_old_background_out_of_the_hair():
    rgb, alpha, foreground = hair_over_ground()
    rgba = cutout(rgb, alpha)
    band = (alpha > 10) & (alpha < 245)
    left = np.abs(rgba[..., :3].astype(int) - foreground)[band].mean()
    before = np.abs(rgb.astype(int) - foreground)[band].mean()
    assert left < 0.5 * before


def test_cutout_keeps_solid_pixels_and_hides_the_rest():
    rgb, alpha, _ = hair_over_ground()
    kept = rgb.copy()
    rgba = cutout(rgb, alpha)
    assert rgba.shape == (*alpha.shape, 4)
    assert np.array_equal(rgba[..., 3], alpha)
    assert np.array_equal(rgba[alpha == 255, :3], rgb[alpha == 255])
    assert not rgba[alpha == 0].any()
    assert np.array_equal(rgb, kept)


def test_calls_of_a_small_picture_are_few_and_do_not_grow_with_it():
    """Each call gives Python's lock away, and a server's threads queue for it."""

    def calls(height: int, width: int) -> int:
        rgb, alpha, _ = hair_over_ground(height, width)
        count = 0

        def watch(frame: object, event: str, called: object) -> None:
            nonlocal count
            count += event == "c_call"

        sys.setprofile(watch)
        try:
            cutout(rgb, alpha)
        finally:
            sys.setprofile(None)
        return count

    assert calls(64, 64) == calls(256, 192) <= 55 < calls(384, 512) == calls(512, 512) <= 70
    assert calls(61, 99) <= calls(64, 64) + 2  # brought up to whole blocks
    assert calls(341, 509) <= calls(512, 512) + 2


@pytest.mark.parametrize("value", [0, 128, 255])
def test_cutout_of_one_pixel(value):
    rgba = cutout(np.full((1, 1, 3), 100, np.uint8), np.full((1, 1), value, np.uint8))
    assert rgba[0, 0, 3] == value


def test_over_a_colour_is_nearer_the_truth_than_plain_blending():
    rgb, alpha, foreground = hair_over_ground()
    share = alpha[..., None] / 255.0
    truth = foreground * share + np.array((0, 0, 255)) * (1 - share)
    blended = rgb * share + np.array((0, 0, 255)) * (1 - share)
    ours = over_background(rgb, alpha, (0, 0, 255))
    band = (alpha > 10) & (alpha < 245)
    assert np.abs(ours - truth)[band].mean() < 0.6 * np.abs(blended - truth)[band].mean()
    assert (ours[alpha == 0] == (0, 0, 255)).all()
    assert np.array_equal(ours[alpha == 255], rgb[alpha == 255])


def test_a_background_picture_covers_and_is_left_alone():
    background = np.zeros((100, 300, 3), np.uint8)
    background[:, 100:200] = 255  # the middle third is all that a square shows
    out = over_background(np.zeros((50, 50, 3), np.uint8), np.zeros((50, 50), np.uint8), background)
    assert (out == 255).all()
    same_size = np.full((50, 50, 3), 9, np.uint8)
    over_background(np.zeros((50, 50, 3), np.uint8), np.full((50, 50), 255, np.uint8), same_size)
    assert (same_size == 9).all()


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#fff", (255, 255, 255)),
        ("#0a141e", (10, 20, 30)),
        ("white", (255, 255, 255)),
        ("Teal", (0, 128, 128)),
        (" 1, 2,3 ", (1, 2, 3)),
    ],
)
def test_colours(text, colour):
    assert parse_color(text) == colour


@pytest.mark.parametrize("text", ["", "#ff", "#12345", "#ffff", "whitish", "256,0,0", "1,2", "-1,0,0", "rgb(1,2,3)"])
def test_what_is_no_colour(text):
    with pytest.raises(Mistake, match="--background") as caught:
        parse_color(text)
    assert f"'{text}' is not a colour; give" in str(caught.value)


def test_a_background_that_is_neither_picture_nor_colour(tmp_path):
    with pytest.raises(
        Mistake, match=r"--background .*none\.jpg is neither a picture that is there nor a colour; name"
    ):
        read_background(str(tmp_path / "none.jpg"), 1)
