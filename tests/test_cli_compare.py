"""`trtkit compare` as a user runs it."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pictures(in_empty_folder, portrait_pixels):
    """a.png, and b.png with one pixel 40 grey levels brighter in red."""
    other = portrait_pixels.copy()
    other[20, 30] = (90, 90, 90)
    base = portrait_pixels.copy()
    base[20, 30] = (50, 90, 90)
    Image.fromarray(base).save("a.png")
    Image.fromarray(other).save("b.png")


def test_figures_are_printed_and_the_sheet_shows_the_place(trtkit, pictures):
    answer = trtkit("compare", "a.png", "b.png", "-o", "sheet.png")
    assert answer.code == 0, answer.err
    expected = 10 * np.log10(255**2 / (40**2 / (512 * 512 * 3)))
    assert f"PSNR {expected:.2f} dB  SSIM 0.99" in answer.out or f"PSNR {expected:.2f} dB  SSIM 1.0" in answer.out
    assert "at most 40 grey levels apart, 0.00% of the pixels differ  sheet.png" in answer.out
    sheet = np.asarray(Image.open("sheet.png"))
    assert sheet.shape[1] == 3 * 512 + 2 * 8
    shown = sheet[-512:, -512:]
    assert shown[20, 30].tolist() == [160, 0, 0]
    assert np.count_nonzero(shown) == 1


def test_equal_pictures_are_said_to_be(trtkit, pictures):
    answer = trtkit("compare", "a.png", "a.png")
    assert "equal in every pixel: PSNR infinite, SSIM 1  a.compare.png" in answer.out
    assert Image.open("a.compare.png").size[0] > 3 * 512


def test_transparency_is_compared_over_grey(trtkit, in_empty_folder):
    clear = np.zeros((20, 20, 4), np.uint8)
    clear[..., :3] = 200
    Image.fromarray(clear).save("a.png")
    Image.fromarray(np.full((20, 20, 3), 128, np.uint8)).save("b.png")
    answer = trtkit("compare", "a.png", "b.png")
    assert "equal in every pixel" in answer.out
    assert "transparent parts were compared over mid grey" in answer.err


@pytest.mark.parametrize(
    ("shapes", "arguments", "sentence"),
    [
        ((20, 30), (), "a.png is 20x20 and b.png is 30x30; only pictures of one size can be compared"),
        ((8, 8), (), "a.png is 8x8; SSIM needs pictures of at least 11x11"),
        ((20, 20), ("-o", "b.png"), "--out b.png would replace a picture it compares; name another file"),
        ((20, 20), ("-o", "c.txt"), "c.txt cannot be written as an image"),
        ((20, None), (), "b.png does not exist"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(trtkit, in_empty_folder, shapes, arguments, sentence):
    for name, side in zip("ab", shapes, strict=True):
        if side:
            Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(f"{name}.png")
    answer = trtkit("compare", "a.png", "b.png", *arguments)
    assert answer.code == 2
    assert answer.err.startswith(f"trtkit: {sentence}")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((".", "b.png"), ". is a folder, not an image; name a file in it"),
        (("/", "b.png"), "/ is a folder, not an image; name a file in it"),
        (("", "b.png"), ". is a folder, not an image; name a file in it"),
        (("b.png", ".."), ".. is a folder, not an image; name a file in it"),
        (("loop.png", "b.png"), "loop.png does not exist; check the name"),
        (("b.png", "loop.png"), "loop.png does not exist; check the name"),
        (("b.png", "b.png", "-o", "loop"), "loop cannot be written as an image; give it one of the suffixes"),
        (("b.png", "b.png", "-o", "loop/a.png"), "loop is a file, not a folder, so a.png cannot be written there"),
        (("b.png", "b.png", "-o", "."), ". cannot be written as an image; give it one of the suffixes"),
    ],
)
def test_names_that_are_no_pictures_are_one_sentence(trtkit, in_empty_folder, arguments, sentence):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save("b.png")
    for name in ("loop", "loop.png"):
        (in_empty_folder / name).symlink_to(name)
    answer = trtkit("compare", *arguments)
    assert answer.code == 2
    assert answer.err.startswith(f"trtkit: {sentence}")
    assert answer.err.count("\n") == 1
