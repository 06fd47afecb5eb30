"""Which triangle covers each pixel of the UV square, and where in it: computed once, since the UV mesh never changes.

A rasteriser library would compute the same at every run.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trtkit.errors import Mistake
from trtkit.files import home, write_whole
from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.coverage import cover
from trtkit.models.hrn.geometry.face_model import Ints

SIDE = 256
_FORM = 1


@dataclass(frozen=True)
class UvMap:
    """`corners` int64 [H, W, 3], the three vertices of the triangle over each pixel; `weights` float32 [H, W, 3], their
    shares in the pixel's centre, all 0 where no triangle is."""

    corners: Ints
    weights: Floats

    @property
    def covered(self) -> np.ndarray:
        """bool [H, W]."""
        return np.asarray(self.weights.any(axis=-1))


def world_to_uv(attribute: Floats, uv: UvMap) -> Floats:
    """A value at each vertex, [N, V, C] → UV pictures [N, H, W, C], the first row at v = 1, 0 where no triangle is."""
    picked = [attribute[:, uv.corners[..., k]] * uv.weights[..., k, None] for k in range(3)]
    return np.asarray(picked[0] + picked[1] + picked[2], np.float32)


def rasterize(uvs: Floats, triangles: Ints, side: int = SIDE) -> UvMap:
    """`uvs` [V, 2] in 0..1, v upward; the centre of pixel (row, column) is u = (c + ½)/side, v = 1 − (r + ½)/side.

    Where triangles overlap, the first in the list counts. A centre on an edge belongs to the triangle.
    """
    corners = np.stack([uvs[:, 0] * side - 0.5, (1 - uvs[:, 1]) * side - 0.5], axis=-1, dtype=np.float64)
    covered = cover(corners[triangles], side, side)
    pixel, first = np.unique(covered.pixel, return_index=True)  # the first of each: triangles ascend
    vertices = np.zeros((side * side, 3), np.int64)
    weights = np.zeros((side * side, 3), np.float32)
    vertices[pixel], weights[pixel] = triangles[covered.triangle[first]], covered.shares[first]
    return UvMap(vertices.reshape(side, side, 3), weights.reshape(side, side, 3))


def cached(uvs: Floats, triangles: Ints, folder: Path | None = None, side: int = SIDE) -> UvMap:
    """`rasterize`, kept in `folder` (default: the user's cache) under a name that depends on its input alone.

    A damaged file is made again; a folder that cannot be written is done without.
    """
    digest = hashlib.sha256(repr((_FORM, side, uvs.shape, triangles.shape)).encode())
    digest.update(np.ascontiguousarray(uvs, np.float32).tobytes())
    digest.update(np.ascontiguousarray(triangles, np.int64).tobytes())
    path = (folder or _user_cache()) / f"uv-{side}-{digest.hexdigest()[:24]}.npz"
    if (kept := _read(path, side)) is not None:
        return kept
    made = rasterize(uvs, triangles, side)
    content = io.BytesIO()
    np.savez(content, corners=made.corners, weights=made.weights)
    # Without a cache the next run computes the same again; nothing else is lost.
    with contextlib.suppress(Mistake, OSError):
        write_whole(path, content.getvalue())
    return made


def _read(path: Path, side: int) -> UvMap | None:
    try:
        with np.load(path) as held:
            found = UvMap(held["corners"], held["weights"])
    except Exception:
        # Not there, or damaged: NumPy and zipfile raise whatever a damaged byte leads to.
        return None
    return found if found.corners.shape == found.weights.shape == (side, side, 3) else None


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "trtkit"
