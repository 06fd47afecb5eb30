"""A picture's own transparency, beside the matte: its colours are straight already."""

import cv2
import numpy as np
import pytest

from trtkit.models.imaging.compose import cutout, over_background, over_colour

from .scenes import hair_over_ground


@pytest.fixture(params=[1, 3], ids=["worked on whole", "worked on in blocks"])
def scene(request, portrait_pixels):
    """(photograph, matte of hair, its own transparency 128 everywhere), under and over the size of the estimate."""
    edge = 256 * request.param
    _, matte, _ = hair_over_ground(edge, edge)
    return cv2.resize(portrait_pixels, (edge, edge)), matte, np.full((edge, edge), 128, np.uint8)


def test_where_the_matte_is_solid_colours_are_the_pictures(scene):
    rgb, _, own = scene
    rgba = cutout(rgb, np.full_like(own, 255), own)
    assert np.array_equal(rgba[..., :3], rgb)
    assert np.array_equal(rgba[..., 3], own)


def test_own_transparency_changes_no_colour_that_the_matte_gives_or_the_picture_has(scene):
    rgb, matte, own = scene
    rgba, alone = cutout(rgb, matte, own), cutout(rgb, matte)
    assert np.array_equal(rgba[..., 3], np.minimum(matte, own))
    assert np.array_equal(rgba[matte < own], alone[matte < own])
    assert np.array_equal(rgba[matte >= own, :3], rgb[matte >= own])


def test_an_opaque_transparency_is_none(scene):
    rgb, matte, own = scene
    assert np.array_equal(cutout(rgb, matte, np.full_like(own, 255)), cutout(rgb, matte))


def test_a_cutout_that_is_cut_out_again_is_itself(scene):
    rgb, matte, _ = scene
    once = cutout(rgb, matte)
    again = cutout(np.ascontiguousarray(once[..., :3]), matte, np.ascontiguousarray(once[..., 3]))
    assert np.array_equal(once, again)


def test_what_is_hidden_shows_nothing(scene):
    rgb, matte, own = scene
    own[: len(own) // 2] = 0
    assert not cutout(rgb, np.full_like(matte, 255), own)[: len(own) // 2].any()
    assert not cutout(rgb, matte, own)[: len(own) // 2].any()


@pytest.mark.parametrize("behind", [(0, 200, 90), np.full((9, 9, 3), 77, np.uint8)], ids=["colour", "picture"])
def test_over_a_background_it_is_the_cutout(scene, behind):
    rgb, matte, own = scene
    own[:, ::2] = 200
    rgba = cutout(rgb, matte, own)
    share = rgba[..., 3:] / 255.0
    wanted = rgba[..., :3] * share + (1 - share) * (behind if isinstance(behind, tuple) else 77)
    assert np.abs(over_background(rgb, matte, behind, own) - wanted).max() <= 1


def test_over_a_colour_is_what_alpha_says():
    rgb = np.array([[[10, 20, 30]] * 3], np.uint8)
    alpha = np.array([[0, 102, 255]], np.uint8)
    assert over_colour(rgb, alpha, (255, 255, 255)).tolist() == [[[255, 255, 255], [157, 161, 165], [10, 20, 30]]]
