"""Gear, held things and flags right beside people: whose they are, and that a seed draws them again."""

import random

import pytest
import torch

from training.cv_unet import carried, frames, hangings, scenes
from training.cv_unet.fields import Sheet
from training.cv_unet.figures import Layers, Stance, figures

SIZE = 64


def _seed():
    torch.manual_seed(5)
    random.seed(5)


@pytest.fixture
def scene():
    """A body of alpha 1 in the picture's middle third, in units of a tenth of the picture, and where it stands."""
    _seed()
    sheet = Sheet(8, SIZE, "cpu")
    x, y = ((axis - 0.5) * 10 + torch.zeros(8, 1, SIZE, SIZE) for axis in (sheet.x, sheet.y))
    body = (x.abs() < 1.7).float()
    one = torch.ones(8, 1, 1, 1)
    at = Stance(x, y, one * SIZE / 10, one, (one, one * 0), one * 0.3)
    return sheet, at, body, Layers(body * 0.5 * torch.ones(8, 3, 1, 1), body.clone())


def test_what_is_worn_changes_the_body_and_no_outline(scene):
    sheet, at, body, layers = scene
    before = layers.color.clone()
    carried.worn(sheet, layers, at, at.x, at.y + 3, body)
    changed = (layers.color - before).abs().amax(1, keepdim=True)
    assert torch.equal(layers.alpha, body)
    assert (changed * (1 - body)).max() == 0
    low = (changed > 0.05)[:, :, SIZE * 2 // 3 :].float().mean((1, 2, 3))
    assert low.mean() > 0.08, "much of it is low"


def test_what_is_held_is_the_persons(scene):
    """Wherever a held thing shows, the alpha is its coverage at least; it reaches beyond the body, and the edge."""
    sheet, at, body, layers = scene
    for _ in range(3):
        carried.held(sheet, layers, at, torch.full((8, 3, SIZE, SIZE), 0.6), at.x, at.y + 3, torch.ones(8, 1, 1, 1))
    assert (layers.alpha >= body).all()
    outside = (1 - body) * (layers.color.amax(1, keepdim=True) > 0.05)
    assert outside.sum() > 50, "held things go on beside the body"
    assert layers.alpha[outside > 0].min() > 0.04
    assert (layers.alpha * (1 - body))[:, :, -1].max() > 0.9, "and are cut by the lower edge"


def test_none_carries_where_the_share_is_none(scene):
    sheet, at, body, layers = scene
    before = layers.color.clone()
    carried.worn(sheet, layers, at, at.x, at.y + 3, body * 0)
    carried.held(sheet, layers, at, torch.full((8, 3, SIZE, SIZE), 0.6), at.x, at.y + 3, torch.zeros(8, 1, 1, 1))
    assert torch.equal(layers.alpha, body)
    assert torch.equal(layers.color, before)


@pytest.mark.parametrize("laden", [0.0, 1.0])
def test_same_seed_same_pictures(laden):
    drawn = []
    for _ in range(2):
        _seed()
        drawn.append(frames.Pool(8, 8, SIZE, "cpu", draw=8, laden=laden).batch(8, 48))
    assert all(torch.equal(first, second) for first, second in zip(*drawn, strict=True))


def test_gear_is_premultiplied_and_there():
    store = scenes.photographs(SIZE, "cpu")
    rows = []
    for laden in (0.0, 1.0):
        _seed()
        color, alpha = figures(Sheet(8, SIZE, "cpu"), store, laden)
        assert torch.isfinite(color).all()
        assert (color <= alpha + 1e-5).all()
        assert alpha.max() <= 1 + 1e-5
        rows.append(alpha)
    assert not torch.equal(*rows)


def test_a_flag_hangs_at_the_outline_of_the_lower_body():
    _seed()
    sheet = Sheet(32, SIZE, "cpu")
    alpha = ((sheet.x - 0.5).abs() < 0.2).float().expand(32, 1, SIZE, SIZE)
    red = torch.tensor((0.9, 0.3, 0.1)).view(1, 3, 1, 1)
    flags = hangings.beside(sheet, torch.cat([red * alpha, alpha], dim=1))
    cover = flags[:, 3:]
    assert cover.min() >= 0
    assert cover.max() <= 1
    # 8 pixels on either side of the body.
    beside = torch.cat([cover[:, :, SIZE // 2 :, 11:19], cover[:, :, SIZE // 2 :, 45:53]], dim=3)
    touched = (beside.amax((1, 2, 3)) > 0.9).float().mean()
    assert touched > 0.7, "most of them show right beside it"


def test_flags_are_background():
    """The alpha of a batch is the people's alone, with flags or without: a pool of nobody stays empty."""
    _seed()
    pool = frames.Pool(8, 8, SIZE, "cpu", draw=8, laden=1.0)
    pool.people.zero_()
    _, alpha, _ = pool.batch(8, 48)
    assert alpha.max() == 0
