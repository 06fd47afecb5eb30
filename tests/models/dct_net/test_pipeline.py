from pathlib import Path

import cv2
import numpy as np
import pytest

from trtkit.models.dct_net.pipeline import open_pipeline
from trtkit.models.dct_net.tiles import RESERVED
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import StageClock


def picture(rgb, alpha=None):
    return Picture(np.ascontiguousarray(rgb), alpha, rgb.shape[:2], Path("a.png"))


def cartoon(networks, rgb, alpha=None, **options):
    pipeline, clock = open_pipeline(networks, options, 100), StageClock()
    item = pipeline.prepare(picture(rgb, alpha), clock)
    (raw,) = pipeline.run([item], clock)
    return pipeline.finish(item, raw, clock)


class Counting:
    """A backend that notes the shapes it was run with."""

    def __init__(self, backend, profiles=()):
        self.backend, self.profiles, self.shapes = backend, profiles, []

    def run(self, arrays):
        self.shapes.append(arrays["image"].shape)
        return self.backend.run(arrays)

    def trim(self):
        self.backend.trim()


@pytest.mark.parametrize("mode", ["fast", "fine"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (15, 17), (64, 64), (300, 211), (760, 900), (20, 2000)])
def test_the_result_has_the_picture_s_size(networks, portrait_pixels, mode, shape):
    rgb = cv2.resize(portrait_pixels, shape[::-1], interpolation=cv2.INTER_AREA)
    result = cartoon(networks, rgb, mode=mode)
    assert (result.shape, result.dtype) == ((*shape, 3), np.uint8)


@pytest.mark.parametrize("no_faces", [True, False])
@pytest.mark.parametrize("size", [512, 1000])
def test_alpha_is_kept(networks, portrait_pixels, size, no_faces):
    rgb = cv2.resize(portrait_pixels, (size, size))
    alpha = np.random.default_rng(0).integers(0, 256, (size, size), dtype=np.uint8)
    result = cartoon(networks, rgb, alpha, no_faces=no_faces)
    np.testing.assert_array_equal(result[..., 3], alpha)
    np.testing.assert_array_equal(result[..., :3], cartoon(networks, rgb, no_faces=no_faces))


def test_the_head_network_draws_the_head_and_nothing_else(networks, portrait_pixels):
    plain, whole = cartoon(networks, portrait_pixels, no_faces=True), cartoon(networks, portrait_pixels)
    apart = cv2.absdiff(plain, whole).max(axis=-1)
    assert apart[90:150, 195:255].mean() > 5
    assert apart[300:].max() == 0
    assert apart[:, :100].max() == 0
    assert apart[:, 400:].max() == 0


def test_a_grey_picture_and_one_without_a_face(networks, portrait_pixels):
    grey = cv2.cvtColor(cv2.cvtColor(portrait_pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert cartoon(networks, grey).shape == grey.shape
    np.testing.assert_array_equal(
        cartoon(networks, portrait_pixels[250:]), cartoon(networks, portrait_pixels[250:], no_faces=True)
    )


def test_heads_of_a_picture_share_one_run(networks, portrait_pixels):
    counting = networks | {"head": Counting(networks["head"])}
    three = np.concatenate([portrait_pixels] * 3, axis=1)
    cartoon(counting, three)
    assert counting["head"].shapes == [(3, 288, 288, 3)]


def test_a_face_at_the_border_is_drawn(networks, portrait_pixels):
    for part in (portrait_pixels[60:], portrait_pixels[:, 165:], portrait_pixels[:190]):
        counting = networks | {"head": Counting(networks["head"])}
        result = cartoon(counting, part)
        assert result.shape == part.shape
        assert counting["head"].shapes == [(1, 288, 288, 3)]


def test_the_networks_see_bgr(networks):
    """A network of a red picture and of a blue one differ as their channels do."""
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    expected = networks["background"].run({"image": red[None, ..., ::-1]})["cartoon"][0, ..., ::-1]
    np.testing.assert_array_equal(cartoon(networks, red), expected)


def test_fast_works_at_720_and_fine_at_full_size(networks, portrait_pixels):
    rgb = cv2.resize(portrait_pixels, (1100, 1000))
    for mode, expected in (("fast", (1, 736, 800, 3)), ("fine", (1, 1008, 1104, 3))):
        counting = networks | {"background": Counting(networks["background"])}
        cartoon(counting, rgb, mode=mode)
        assert counting["background"].shapes == [expected]
    assert open_pipeline(networks, {}, 100).needed_pixels == (720, 720)
    assert open_pipeline(networks, {"mode": "fine"}, 100).needed_pixels is None


def test_little_memory_makes_tiles_of_one_shape_and_the_same_picture(networks, portrait_pixels):
    rgb = cv2.resize(portrait_pixels, (700, 600))
    counting = networks | {"background": Counting(networks["background"])}
    tiled = cartoon(counting, rgb, mode="fine", max_memory=RESERVED + 100_000 * 768)
    assert len(counting["background"].shapes) > 1
    assert len(set(counting["background"].shapes)) == 1
    apart = cv2.absdiff(tiled, cartoon(networks, rgb, mode="fine")).max(axis=-1)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-3


def test_a_profile_bounds_tiles_and_head_batches(networks, portrait_pixels):
    class Range:
        def __init__(self, shape):
            self.max = shape

    counting = {
        "background": Counting(networks["background"], [{"image": Range([1, 320, 400, 3])}]),
        "head": Counting(networks["head"], [{"image": Range([2, 288, 288, 3])}]),
    }
    cartoon(counting, np.concatenate([portrait_pixels] * 3, axis=1))
    assert all(shape[1] <= 320 and shape[2] <= 400 for shape in counting["background"].shapes)
    assert [shape[0] for shape in counting["head"].shapes] == [2, 1]


def test_who_finds_the_faces_is_said(networks):
    assert "Haar cascade" in open_pipeline(networks, {}, 100).notes[0]
    assert open_pipeline(networks, {"no_faces": True}, 100).notes == ()


def test_no_faces_needs_no_cascade(networks, monkeypatch, portrait_pixels):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    assert cartoon(networks, portrait_pixels, no_faces=True).shape == (512, 512, 3)


def test_a_mask_of_nothing_leaves_the_background_s_head(networks, portrait_pixels, tmp_path):
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((288, 288), np.uint8))
    masked = cartoon(networks, portrait_pixels, head_mask=str(tmp_path / "black.png"))
    np.testing.assert_array_equal(masked, cartoon(networks, portrait_pixels, no_faces=True))
