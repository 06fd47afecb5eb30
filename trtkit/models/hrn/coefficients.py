"""The 257 numbers that net_recon gives for a face, by name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SIZES = (80, 64, 80, 3, 27, 2, 1)
"""Identity, expression, albedo, angles, light, x and y of the place, z of the place: one head of net_recon each."""

COUNT = sum(SIZES)


@dataclass(frozen=True)
class Coefficients:
    """float32, batch first: `identity` [N, 80], `expression` [N, 64], `albedo` [N, 80], `angles` [N, 3] (x, y, z in
    radians), `light` [N, 3, 9] (red, green, blue; nine spherical harmonics), `place` [N, 3] (x, y, z)."""

    identity: Floats
    expression: Floats
    albedo: Floats
    angles: Floats
    light: Floats
    place: Floats


def split(vector: Floats) -> Coefficients:
    """[N, 257] → its groups. Raises ValueError for another width."""
    if vector.ndim != 2 or vector.shape[1] != COUNT:
        raise ValueError(f"coefficients are [N, {COUNT}], not {list(vector.shape)}")
    identity, expression, albedo, angles, light, place = np.split(vector, np.cumsum((80, 64, 80, 3, 27)), axis=1)
    return Coefficients(identity, expression, albedo, angles, light.reshape(-1, 3, 9), place)


def join(parts: Coefficients) -> Floats:
    """The reverse of `split`: [N, 257]."""
    count = len(parts.identity)
    groups = (parts.identity, parts.expression, parts.albedo, parts.angles, parts.light.reshape(count, 27), parts.place)
    return np.concatenate(groups, axis=1).astype(np.float32)
