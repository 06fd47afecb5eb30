"""The finer levels: a deformation of the vertices, a mask over what is not skin, an albedo without beauty filters."""

from __future__ import annotations

import cv2
import numpy as np

from trtkit.models.hrn.coefficients import Floats


def offsets(deformation: Floats, uvs: Floats) -> Floats:
    """Deformation maps [N, S, S, 3] at the vertices' `uvs` [V, 2] → [N, V, 3].

    As the official code has it: the column left of u·S and the one after it; rows from the bottom, S − 1 − ⌊v·S⌋
    weighted by frac(v·S), and the row below it by the rest; indices beyond the rim repeat it.
    """
    side = deformation.shape[1]
    scaled = uvs * side
    floor = np.floor(scaled)
    across, up = (scaled - floor).T[..., None]
    column, row = floor[:, 0].astype(np.int64), side - 1 - floor[:, 1].astype(np.int64)
    columns = [np.clip(column + k, 0, side - 1) for k in (0, 1)]
    rows = [np.clip(row + k, 0, side - 1) for k in (0, 1)]
    upper = deformation[:, rows[0], columns[0]] * (1 - across) + deformation[:, rows[0], columns[1]] * across
    lower = deformation[:, rows[1], columns[0]] * (1 - across) + deformation[:, rows[1], columns[1]] * across
    return np.asarray(upper * up + lower * (1 - up), np.float32)


def smooth_mask(masks: Floats) -> Floats:
    """[N, H, W] in 0..1: shrunk by a pixel and blurred over 11, so that no seam shows where the offsets end."""
    shrunk = [cv2.erode(mask, np.ones((3, 3), np.float32)) for mask in masks]
    return np.stack([cv2.blur(mask, (11, 11)) for mask in shrunk]).astype(np.float32)


def without_retouch(albedo: Floats, texture: Floats, layer: Floats) -> Floats:
    """`albedo`, `texture` in 0..1 and the network's soft-light `layer` in 0..1, all [N, H, W, 3] → the albedo times
    how much the texture differs from its soft-lit self; where that is nearly black, times 1."""
    lit = (1 - 2 * layer) * texture * texture + 2 * layer * texture
    floor = 1 / (1e6 * lit**3 + 1e-6)
    return np.asarray(albedo * (texture + floor) / (lit + floor), np.float32)
