"""PNG files as other programs read them: Pillow, which checks each chunk's sum, and OpenCV."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from trtkit.models.imaging import png as png_files
from trtkit.models.imaging.png import png

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.verify()
    picture = Image.open(io.BytesIO(content))
    picture.load()
    assert picture.format == "PNG"
    return picture


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (33, 57), (300, 200)])
@pytest.mark.parametrize("channels", MODES)
def test_others_read_what_was_written(size, channels):
    image = np.random.default_rng(3).integers(0, 256, (*size, channels), np.uint8)
    if channels == 1:
        image = image[..., 0]
    content = png(image)
    picture = read(content)
    assert picture.mode == MODES[channels]
    assert np.array_equal(np.asarray(picture), image)
    in_bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    ordered = {1: lambda x: x, 3: lambda x: x[..., ::-1], 4: lambda x: x[..., [2, 1, 0, 3]]}[channels]
    assert np.array_equal(ordered(in_bgr), image)


def test_a_view_of_a_picture(portrait_pixels):
    mirrored = portrait_pixels[::2, ::-1]
    assert np.array_equal(np.asarray(read(png(mirrored))), mirrored)


def test_what_needs_several_chunks(monkeypatch):
    image = np.random.default_rng(4).integers(0, 256, (90, 80, 4), np.uint8)
    monkeypatch.setattr(png_files, "_LARGEST_CHUNK", 1000)
    content = png(image)
    assert content.count(b"IDAT") > 20
    assert np.array_equal(np.asarray(read(content)), image)


def test_a_photograph_is_about_as_small_as_opencv_makes_it(portrait_pixels):
    usual = cv2.imencode(".png", portrait_pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    assert len(png(portrait_pixels)) < 1.1 * usual.size
