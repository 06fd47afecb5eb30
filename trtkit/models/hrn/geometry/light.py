"""Light as nine spherical harmonics (Ramamoorthi & Hanrahan 2001): colour = harmonics(normal) · light · albedo."""

from __future__ import annotations

import numpy as np

from trtkit.models.hrn.coefficients import Floats

AMBIENT = 0.8
"""Added to the first harmonic of each channel."""

_A = (np.pi, 2 * np.pi / np.sqrt(3.0), 2 * np.pi / np.sqrt(8.0))
_C = (1 / np.sqrt(4 * np.pi), np.sqrt(3.0) / np.sqrt(4 * np.pi), 3 * np.sqrt(5.0) / np.sqrt(12 * np.pi))
BAND0, BAND1, BAND2 = (a * c for a, c in zip(_A, _C, strict=True))


def harmonics(normals: Floats) -> Floats:
    """[..., 3] → [..., 9]."""
    x, y, z = normals[..., 0], normals[..., 1], normals[..., 2]
    bands = [
        np.full_like(x, BAND0),
        -BAND1 * y,
        BAND1 * z,
        -BAND1 * x,
        BAND2 * x * y,
        -BAND2 * y * z,
        0.5 * BAND2 / np.sqrt(3.0) * (3 * z * z - 1),
        -BAND2 * x * z,
        0.5 * BAND2 * (x * x - y * y),
    ]
    return np.stack(bands, axis=-1).astype(np.float32)


def shade(albedo: Floats, normals: Floats, light: Floats) -> Floats:
    """`albedo` and `normals` [N, ..., 3], `light` [N, 3, 9] → colours [N, ..., 3], unclipped."""
    total = light.copy()
    total[..., 0] += AMBIENT
    lit = np.einsum("n...h,nch->n...c", harmonics(normals), total)
    return np.asarray(lit * albedo, np.float32)
