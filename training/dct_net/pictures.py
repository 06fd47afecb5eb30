"""What the networks are trained on: photographs that ship inside scikit-image, drawn scenes, and crops of both."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

PHOTOGRAPHS = (
    "coffee",
    "immunohistochemistry",
    "retina",
    "camera",
    "brick",
    "grass",
    "gravel",
    "coins",
    "moon",
    "page",
)
"""Functions of skimage.data; the left one of the motorcycle pair is added."""

HELD_OUT = ("astronaut", "chelsea", "rocket")
"""Never trained on: a portrait, a cat, a rocket's launch."""


def photographs() -> list[NDArray[np.uint8]]:
    """uint8 [H, W, 3] RGB each."""
    import skimage.data

    found = [getattr(skimage.data, name)() for name in PHOTOGRAPHS] + [skimage.data.stereo_motorcycle()[0]]  # type: ignore[no-untyped-call]
    return [np.ascontiguousarray(np.dstack([image] * 3) if image.ndim == 2 else image) for image in found]


def held_out() -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """(name, uint8 [H, W, 3] RGB cut to multiples of 4)."""
    import skimage.data

    for name in HELD_OUT:
        image = getattr(skimage.data, name)()
        yield name, np.ascontiguousarray(image[: image.shape[0] // 4 * 4, : image.shape[1] // 4 * 4])


def drawn(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """A scene uint8 [side, side, 3]: a shaded ground, shaded blobs, polygons, strands, strokes and lettering."""
    scene = _shaded(rng, side)
    for _ in range(int(rng.integers(6, 28))):
        mask = np.zeros((side, side), np.uint8)
        centre = rng.integers(0, side, 2)
        reach = side * float(rng.choice([0.04, 0.1, 0.2, 0.35])) * rng.uniform(0.6, 1.4)
        kind = rng.integers(5)
        if kind == 0:
            axes = np.maximum(1, reach * rng.uniform(0.3, 1, 2)).astype(int)
            cv2.ellipse(mask, _point(centre), _point(axes), float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
        elif kind == 1:
            corners = centre + rng.uniform(-reach, reach, (int(rng.integers(3, 7)), 2))
            cv2.fillPoly(mask, [corners.astype(np.int32)], 255, cv2.LINE_AA)
        elif kind == 2:
            turn = rng.uniform(0, 2 * math.pi)
            for _ in range(int(rng.integers(10, 80))):
                start = centre + rng.normal(0, reach / 3, 2)
                end = start + reach * np.array([math.cos(turn), math.sin(turn)]) + rng.normal(0, reach / 6, 2)
                cv2.line(mask, _point(start), _point(end), int(rng.integers(90, 256)), 1, cv2.LINE_AA)
        elif kind == 3:
            walk = centre + np.cumsum(rng.normal(0, reach / 3, (8, 2)), axis=0)
            cv2.polylines(mask, [walk.astype(np.int32)], False, 255, int(rng.integers(1, 9)), cv2.LINE_AA)
        else:
            letters = "".join(chr(code) for code in rng.integers(65, 91, 5))
            size = max(0.3, reach / 60)
            cv2.putText(
                mask, letters, _point(centre), int(rng.integers(0, 8)), size, 255, 1 + int(2 * size), cv2.LINE_AA
            )
        if rng.random() < 0.4:
            mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.6, 6))), np.uint8)
        share = np.asarray(mask[..., None] / 255, np.float32)
        scene = np.asarray(scene * (1 - share) + _shaded(rng, side) * share, np.float32)
    return np.clip(scene, 0, 255).astype(np.uint8)


def _point(pair: NDArray) -> tuple[int, int]:
    return int(pair[0]), int(pair[1])


def _shaded(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """A colour with soft light on it and, at times, grain: float32 [side, side, 3] about 0..255."""
    colour = rng.uniform(10, 245, 3)
    if rng.random() < 0.5:
        colour = colour.mean() + (colour - colour.mean()) * rng.uniform(0, 0.5)
    coarse = rng.normal(0, 1, (int(rng.integers(2, 7)),) * 2).astype(np.float32)
    light = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)[..., None] * rng.uniform(2, 35)
    shaded = np.asarray(colour + light, np.float32)
    if rng.random() < 0.4:
        grain = cv2.GaussianBlur(rng.normal(0, 1, (side, side)).astype(np.float32), (0, 0), float(rng.uniform(0.6, 3)))
        shaded += np.float32(rng.uniform(3, 30)) * np.asarray(grain, np.float32)[..., None]
    return shaded


class Crops:
    """Endless augmented crops of a set of pictures, all randomness from torch's seed."""

    def __init__(self, sources: list[NDArray[np.uint8]]) -> None:
        self.levels: list[list[Tensor]] = []
        for source in sources:
            image = torch.from_numpy(source).permute(2, 0, 1)[None].float() / 255
            pyramid = [image]
            while min(pyramid[-1].shape[-2:]) >= 160:
                pyramid.append(F.avg_pool2d(pyramid[-1], 2))
            self.levels.append(pyramid)

    def batch(self, count: int, side: int) -> Tensor:
        """float32 [count, 3, side, side] in -1..1, whole grey levels as a uint8 picture has them."""
        crops = torch.cat([self._crop(side) for _ in range(count)])
        crops = _recolour(crops)
        noise = torch.rand(count, 1, 1, 1).pow(4) * 0.06
        crops = crops + noise * torch.randn_like(crops)
        return (crops.clamp(0, 1) * 255).round() / 127.5 - 1

    def _crop(self, side: int) -> Tensor:
        """Turned, mirrored and scaled: a pixel shows 0.5 to 4 of the photograph's."""
        pyramid = self.levels[int(torch.randint(len(self.levels), ()))]
        zoom = 2 ** (float(torch.rand(())) * 3 - 1)
        level = min(len(pyramid) - 1, max(0, round(math.log2(zoom))))
        image, step = pyramid[level], zoom / 2**level
        height, width = image.shape[-2:]
        turn = float(torch.rand(())) * 2 * math.pi if torch.rand(()) < 0.5 else 0.0
        mirror = 1.0 if torch.rand(()) < 0.5 else -1.0
        centre = torch.rand(2) * 2 - 1
        # Reflection fills what lies outside, so any centre will do.
        half = step * side / 2
        matrix = torch.tensor(
            [
                [mirror * math.cos(turn) * half * 2 / width, -math.sin(turn) * half * 2 / width, float(centre[0])],
                [mirror * math.sin(turn) * half * 2 / height, math.cos(turn) * half * 2 / height, float(centre[1])],
            ]
        )
        grid = F.affine_grid(matrix[None], [1, 3, side, side], align_corners=False)
        return F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _recolour(images: Tensor) -> Tensor:
    """Channels mixed, saturation, gamma, contrast and brightness changed, a crop at a time."""
    count = images.shape[0]

    def dice(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, 1)

    shuffled = torch.stack([image[torch.randperm(3)] for image in images])
    grey = shuffled.mean(1, keepdim=True)
    toned = grey + (shuffled - grey) * dice(0.0, 1.8)
    tint = 1 + 0.25 * torch.randn(count, 3, 1, 1)
    toned = (toned * tint).clamp(0, 1) ** dice(0.5, 1.7)
    return ((toned - 0.5) * dice(0.5, 1.5) + 0.5 + dice(-0.2, 0.2)).clamp(0, 1)
