"""What the network is trained on: alphas that are exact, pictures that differ, the same ones for the same seed."""

import random

import cv2
import numpy as np
import pytest
import torch

from training.cv_unet import camera, evaluate, frames, scenes
from training.cv_unet.fields import Sheet
from training.cv_unet.figures import figures


@pytest.fixture
def store():
    torch.manual_seed(3)
    random.seed(3)
    return scenes.photographs(64, "cpu")


def test_figures_are_premultiplied_and_finite(store):
    color, alpha = figures(Sheet(8, 64, "cpu"), store)
    assert color.shape == (8, 3, 64, 64)
    assert alpha.shape == (8, 1, 64, 64)
    assert torch.isfinite(color).all()
    assert alpha.min() >= 0
    assert alpha.max() <= 1 + 1e-5
    assert (color <= alpha + 1e-5).all()
    share = alpha.mean((1, 2, 3))
    assert (share > 0.005).all(), "somebody is in every picture"
    assert share.std() > 0.03, "and they differ"


def test_backgrounds(store):
    drawn = scenes.backgrounds(Sheet(4, 64, "cpu"), store)
    assert drawn.shape == (4, 3, 64, 64)
    assert torch.isfinite(drawn).all()
    assert not torch.equal(drawn[0], drawn[1])


def test_batch_is_letterboxed_like_the_pipeline(store):
    pool = frames.Pool(8, 8, 64, "cpu", draw=8)
    image, alpha, inside = pool.batch(16, 48)
    assert image.shape == (16, 3, 48, 48)
    assert alpha.shape == inside.shape == (16, 1, 48, 48)
    shares = inside.mean((1, 2, 3))
    assert (shares > 0.4).all()
    assert (shares == 1).any(), "some fill the canvas"
    assert (shares < 0.95).any(), "some leave borders"


@pytest.mark.parametrize("size", [24, 40, 64])
def test_area_shrinking_is_opencvs(size):
    picture = np.random.default_rng(0).random((64, 64), np.float32)
    ours = frames._shrink(torch.from_numpy(picture)[None, None], size)[0, 0].numpy()
    assert np.abs(ours - cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)).max() < 1e-4


def test_blur_is_gaussian():
    picture = np.random.default_rng(0).random((64, 64), np.float32)
    ours = scenes.blur(torch.from_numpy(picture)[None, None], 1.2)[0, 0].numpy()
    theirs = cv2.GaussianBlur(picture, (9, 9), 1.2, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(ours - theirs).max() < 1e-3


def test_jpeg_at_its_finest_is_nearly_lossless():
    smooth = torch.linspace(0, 1, 32).view(1, 1, 1, 32).expand(1, 3, 32, 32)
    assert (camera.jpeg(smooth, torch.full((1, 1, 1, 1), 1e-3)) - smooth).abs().max() < 0.02


def test_held_out_set_comes_out_again():
    first, second = evaluate.held_out(8, 32), evaluate.held_out(8, 32)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
