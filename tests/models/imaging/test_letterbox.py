"""The canvas and the way back."""

import numpy as np
import pytest

from trtkit.models.imaging.letterbox import content_size, letterbox, resize


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (64, 64), (1, 1), (1, 3000), (17, 5), (513, 512)])
def test_what_went_on_the_canvas_comes_off_it(size):
    rgb = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    boxed, placement = letterbox(rgb, (128, 96))
    assert boxed.shape == (128, 96, 3)
    assert boxed.dtype == np.uint8
    content = placement.crop(boxed)
    assert content.shape[:2] == content_size(size, (128, 96))
    assert np.array_equal(content, resize(rgb, content_size(size, (128, 96))))
    assert placement.crop(boxed[..., 0]).shape == content.shape[:2]


def test_aspect_is_kept_and_the_picture_is_centred():
    _, placement = letterbox(np.zeros((300, 400, 3), np.uint8), (512, 512))
    assert (placement.height, placement.width, placement.top, placement.left) == (384, 512, 64, 0)


def test_fills():
    rgb = np.full((10, 20, 3), 50, np.uint8)
    rgb[0] = 200
    edge, placement = letterbox(rgb, (20, 20), "edge")
    assert (edge[: placement.top] == 200).all()
    constant, _ = letterbox(rgb, (20, 20), (1, 2, 3))
    assert (constant[: placement.top] == (1, 2, 3)).all()


def test_shrinking_takes_the_mean():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (letterbox(stripes, (32, 32))[0] == 100).all()


def test_a_map_of_another_size_is_refused():
    _, placement = letterbox(np.zeros((10, 20, 3), np.uint8), (32, 32))
    with pytest.raises(ValueError, match="does not lie on a canvas"):
        placement.crop(np.zeros((16, 16)))
