"""Drawn portraits, seeded: what calibration sees where no photographs are at hand.

Not likenesses: their task is to move every tensor through the range that a portrait does. So they have what sets a
picture's statistics (skin, hair and cloth against walls, foliage and lights; soft and hard edges; texture, shade,
noise) in heads and half figures of one or two people. Only NumPy and OpenCV are needed, and no one's photographs.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

COUNT = 24
"""Pictures of the set."""
HELD_OUT = 1000
"""The first number of those that no calibration sees."""

SIDE = 512

Layer = np.ndarray
"""float32 (float64 after noise), 0..1."""


def portrait(number: int) -> NDArray[np.uint8]:
    """Picture `number` of the set: uint8 [512, 512, 3] RGB, the same on every machine with the same OpenCV."""
    dice = np.random.default_rng((20_260_719, number))
    picture = _place(dice, SIDE)
    if dice.random() < 0.35:
        picture = cv2.GaussianBlur(picture, (0, 0), float(dice.uniform(1, 7)))
    for _ in range(2 if dice.random() < 0.2 else 1):
        picture = _person(dice, picture)
    return _photographed(dice, picture)


def scene(number: int, draw: Callable[[Generator, NDArray[np.uint8]], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The same with what `draw` puts before the background. That has no lights: a small RetinaFace sees faces there."""
    dice = np.random.default_rng((20_261_121, number))
    place = np.rint(np.clip(_place(dice, SIDE, kinds=4), 0, 1) * 255).astype(np.uint8)
    return _photographed(dice, draw(dice, place).astype(np.float32) / 255)


def _colour(dice: Generator, low: float = 0.0, high: float = 1.0) -> Layer:
    colour = dice.uniform(low, high, 3)
    muted: Layer = colour.mean() + (colour - colour.mean()) * dice.uniform(0.1, 1)
    return np.asarray(muted, np.float32)


def _clouds(dice: Generator, side: int, finest: int) -> Layer:
    """Noise of several octaves, [side, side, 1], about 0 with a spread near 1."""
    total: Layer = np.zeros((side, side), np.float32)
    cells, weight = 4, 1.0
    while cells <= finest:
        coarse = dice.standard_normal((cells, cells)).astype(np.float32)
        total += weight * cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        cells, weight = cells * 2, weight * 0.6
    return np.asarray(total[..., None])


def _place(dice: Generator, side: int, kinds: int = 5) -> Layer:
    """A background: a wall, a landscape, a furnished room, foliage, or lights in the dark; [side, side, 3] in 0..1."""
    ramp = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    kind = dice.integers(kinds)
    if kind == 0:
        wall: Layer = _colour(dice) + (ramp - 0.5) * dice.uniform(-0.5, 0.5) + 0.04 * _clouds(dice, side, 256)
        return wall
    if kind == 1:
        horizon = dice.uniform(0.3, 0.7)
        sky, ground = _colour(dice, 0.4, 1.0), _colour(dice, 0.05, 0.6)
        edge = np.clip(0.5 - (ramp - horizon + 0.05 * _clouds(dice, side, 32)) * 40, 0, 1)
        return edge * (sky + 0.06 * _clouds(dice, side, 16)) + (1 - edge) * (ground + 0.1 * _clouds(dice, side, 256))
    if kind == 2:
        picture = np.broadcast_to(_colour(dice, 0.2, 1.0), (side, side, 3)).astype(np.float32).copy()
        for _ in range(dice.integers(8, 30)):
            corner, size = dice.integers(-40, side, 2), dice.integers(10, side // 2, 2)
            thickness = -1 if dice.random() < 0.7 else int(dice.integers(1, 8))
            cv2.rectangle(picture, corner.tolist(), (corner + size).tolist(), _colour(dice).tolist(), thickness)
        return picture + 0.03 * _clouds(dice, side, 256)
    if kind == 3:
        leaves = _clouds(dice, side, 256)
        return np.asarray(np.clip(_colour(dice, 0.0, 0.5) + leaves * _colour(dice, 0.02, 0.25), 0, 1))
    picture = np.broadcast_to(_colour(dice, 0.0, 0.25), (side, side, 3)).astype(np.float32).copy()
    for _ in range(dice.integers(10, 60)):
        centre, radius = dice.integers(0, side, 2).tolist(), int(dice.integers(2, 30))
        cv2.circle(picture, centre, radius, _colour(dice, 0.3, 1.0).tolist(), -1)
    return picture


def _person(dice: Generator, picture: Layer) -> Layer:
    """`picture` with a person in front: body, neck, hair behind, head, face, fringe."""
    side = picture.shape[0]
    face = side * dice.uniform(0.07, 0.2)
    x, y = side * dice.uniform(0.25, 0.75), face * dice.uniform(1.6, 2.6)
    skin = np.float32(dice.uniform(0.25, 1.0)) * np.array([0.95, 0.75, 0.62], np.float32) + 0.03 * _colour(dice)
    hair = _colour(dice, 0.02, 0.35) if dice.random() < 0.7 else _colour(dice, 0.2, 0.9)
    cloth = np.clip(_colour(dice) + dice.uniform(0, 0.2) * _clouds(dice, side, 128), 0, 1)
    if dice.random() < 0.4:
        stripes = np.sin(np.arange(side, dtype=np.float32) / dice.uniform(2, 15))[:, None, None] > 0
        across = dice.random() < 0.5
        cloth = np.where(stripes if across else stripes.transpose(1, 0, 2), cloth, _colour(dice)).astype(np.float32)
    light = 1 + dice.uniform(-0.5, 0.5) * (np.linspace(-1, 1, side, dtype=np.float32)[None, :, None])
    shoulder, tilt = face * dice.uniform(1.8, 2.6), float(dice.uniform(-12, 12))
    long_hair = dice.uniform(1.2, 2.6) if dice.random() < 0.5 else dice.uniform(0.9, 1.15)

    def oval(cx: float, cy: float, rx: float, ry: float, paint: Layer, soft: float = 0.8, turn: float = tilt) -> None:
        nonlocal picture
        mask: Layer = np.zeros((side, side), np.float32)
        cv2.ellipse(mask, ((cx, cy), (2 * rx, 2 * ry), turn), 1.0, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), soft)[..., None]
        picture = picture * (1 - mask) + np.clip(paint * light, 0, 1) * mask

    wisps = float(dice.uniform(0.8, 4))
    oval(x, y + 0.3 * face * long_hair, 1.15 * face * dice.uniform(1, 1.3), 1.35 * face * long_hair, hair, wisps)
    oval(x, y + 2.3 * face + shoulder, shoulder, 1.4 * shoulder, cloth, turn=0)
    oval(x, y + 4.5 * face + shoulder, shoulder * 0.95, 3 * shoulder, cloth, turn=0)
    oval(x, y + 1.4 * face, 0.45 * face, 0.9 * face, skin * 0.85)
    oval(x, y, face, 1.3 * face, skin)
    for sign in (-1, 1):
        oval(x + sign * 0.4 * face, y - 0.1 * face, 0.17 * face, 0.08 * face, np.array([0.95, 0.95, 0.95]))
        oval(x + sign * 0.4 * face, y - 0.1 * face, 0.07 * face, 0.08 * face, _colour(dice, 0.02, 0.4))
        oval(x + sign * 0.4 * face, y - 0.32 * face, 0.24 * face, 0.05 * face, hair)
    oval(x, y + 0.25 * face, 0.12 * face, 0.22 * face, skin * 0.9, 2.5)
    oval(x, y + 0.65 * face, 0.32 * face, 0.09 * face, np.array([0.7, 0.3, 0.3]) * skin.max())
    oval(x, y - 1.0 * face, 0.95 * face, 0.5 * face * dice.uniform(0.6, 1.2), hair, wisps)
    return picture


def _photographed(dice: Generator, picture: Layer) -> NDArray[np.uint8]:
    """Exposure, a colour cast, focus and sensor noise."""
    picture = np.clip(picture, 0.001, 1) ** dice.uniform(0.7, 1.5) * dice.uniform(0.8, 1.15, 3)
    if dice.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), float(dice.uniform(0.4, 1.2)))
    picture = picture + dice.standard_normal(picture.shape) * dice.uniform(0, 0.03)
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
