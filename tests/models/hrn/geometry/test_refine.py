"""Deformation, masks, resizing and the albedo against loops and definitions."""

import numpy as np
import torch

from trtkit.models.hrn.geometry import refine
from trtkit.models.hrn.geometry.resize import bilinear


def test_deformation_at_a_vertex_mixes_four_cells(model, rng):
    maps = rng.normal(size=(2, 64, 64, 3)).astype(np.float32)
    uvs = np.vstack([model.uvs, [[0, 0], [1, 1], [0.999, 0.001]]]).astype(np.float32)
    found = refine.offsets(maps, uvs)
    for vertex, (u, v) in enumerate(uvs):
        across, up = u * 64, v * 64
        column, row = int(np.floor(across)), int(np.floor(up))
        fu, fv = across - column, up - row
        wanted = np.zeros(3)
        for r, c, weight in (
            (63 - row, column, (1 - fu) * fv),
            (63 - row, column + 1, fu * fv),
            (64 - row, column, (1 - fu) * (1 - fv)),
            (64 - row, column + 1, fu * (1 - fv)),
        ):
            wanted += weight * maps[1, min(max(r, 0), 63), min(max(c, 0), 63)]
        np.testing.assert_allclose(found[1, vertex], wanted, atol=1e-5)


def test_resize_is_the_frameworks_bilinear(rng):
    maps = rng.normal(size=(2, 20, 32, 3)).astype(np.float32)
    for size in ((10, 16), (40, 96), (7, 11), (20, 32)):
        wanted = torch.nn.functional.interpolate(torch.from_numpy(maps).permute(0, 3, 1, 2), size, mode="bilinear")
        np.testing.assert_allclose(bilinear(maps, size), wanted.permute(0, 2, 3, 1), atol=1e-5)


def test_mask_shrinks_and_blurs():
    mask = np.zeros((1, 40, 40), np.float32)
    mask[0, 10:30, 10:30] = 1
    found = refine.smooth_mask(mask)
    shrunk = np.zeros((40, 40))
    shrunk[11:29, 11:29] = 1
    assert np.isclose(found[0, 20, 8], shrunk[15:26, 3:14].mean())
    assert np.isclose(found[0, 12, 25], shrunk[7:18, 20:31].mean())
    assert found.dtype == np.float32


def test_albedo_follows_what_the_soft_light_took_away():
    albedo = np.full((1, 1, 3, 3), 0.6, np.float32)
    texture = np.array([0.5, 0.25, 0.0], np.float32).reshape(1, 1, 3, 1) * np.ones(3, np.float32)
    layer = np.full((1, 1, 3, 3), 0.75, np.float32)
    found = refine.without_retouch(albedo, texture, layer)
    for k, tex in enumerate((0.5, 0.25)):
        lit = (1 - 1.5) * tex * tex + 1.5 * tex
        phi = 1e6 * lit**3 + 1e-6
        np.testing.assert_allclose(found[0, 0, k], 0.6 * (tex + 1 / phi) / (lit + 1 / phi), rtol=1e-5)
    np.testing.assert_allclose(found[0, 0, 2], 0.6, err_msg="black stays as it is")
    flat = refine.without_retouch(albedo, texture, np.full_like(layer, 0.5))
    np.testing.assert_allclose(flat, albedo, rtol=1e-6, err_msg="a layer of one half changes nothing")
