"""Pictures of faces whose coefficients are known, in scenes larger than they are: what the whole chain is judged on.

Drawn by the pipeline's own renderer rather than by the one that training uses, from seeds far from any that it takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from training.hrn.scenes import backgrounds
from trtkit.models.hrn.coefficients import Coefficients, Floats
from trtkit.models.hrn.geometry import face_model, pose, uv_map
from trtkit.models.hrn.geometry.face_model import FaceModel
from trtkit.models.hrn.synthetic import files, portrait

Image = NDArray[np.uint8]
Place = tuple[int, int, int]
"""(x, y, side) of the square that a face's frame of 224 units fills; the face is about 160 of them wide."""

SEED = 20_000_003
_SHARP = 256
"""Pixels a side that a small face is drawn at before it is averaged, as a camera would."""


@dataclass(frozen=True)
class Known:
    """One face of a picture: its coefficients [1], 68 landmarks in pixels of the picture [68, 2], and its vertices
    turned as they are seen, before they are moved to their place, [V, 3]."""

    face: Coefficients
    points: Floats
    turned: Floats

    @property
    def width(self) -> float:
        """Of the face, decimetres, whichever way it looks."""
        model = the_model()[0]
        return float(np.ptp(face_model.shape(model, self.face.identity, self.face.expression)[0, :, 0]))


@cache
def the_model() -> tuple[FaceModel, uv_map.UvMap]:
    model = files.face_model()
    return model, uv_map.rasterize(model.uvs, model.uv_triangles)


def background(size: tuple[int, int], seed: int) -> Image:
    """uint8 [H, W, 3]: gradients, noise, patches and discs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        square = backgrounds(1, max(size), torch.device("cpu"))[0]
    pixels = (square.permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(pixels[: size[0], : size[1]])


def scene(size: tuple[int, int], places: list[Place], seed: int = SEED) -> tuple[Image, list[Known]]:
    """A picture of `size` (height, width) with a random face in each square, which may leave the picture."""
    rng = np.random.default_rng(seed)
    rim = max([0, *(max(-x, -y, x + side - size[1], y + side - size[0]) for x, y, side in places)])
    canvas = cv2.copyMakeBorder(background(size, seed), rim, rim, rim, rim, cv2.BORDER_REFLECT)
    known = [_draw(canvas, (x + rim, y + rim, side), portrait.random_face(rng), rim) for x, y, side in places]
    return np.ascontiguousarray(canvas[rim : rim + size[0], rim : rim + size[1]]), known


def _draw(canvas: Image, place: Place, face: Coefficients, rim: int) -> Known:
    model, uv = the_model()
    x, y, side = place
    times = -(-_SHARP // side)
    behind = np.ascontiguousarray(canvas[y : y + side, x : x + side].repeat(times, axis=0).repeat(times, axis=1))
    drawn, points, _ = portrait.picture(model, uv, face, side * times, behind)
    canvas[y : y + side, x : x + side] = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA)
    turned = face_model.shape(model, face.identity, face.expression) @ pose.rotation(face.angles)
    at = (points + 0.5) / times - 0.5 + np.array([x - rim, y - rim])
    return Known(face, at.astype(np.float32), turned[0])


def portraits(count: int, seed: int = SEED) -> list[tuple[Image, Known]]:
    """One face each, 130 to 380 pixels wide, anywhere in pictures of 480 × 640."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        side = int(rng.integers(180, 481))
        place = (int(rng.integers(0, 641 - side)), int(rng.integers(0, 481 - side)), side)
        image, (known,) = scene((480, 640), [place], seed + 1 + number)
        made.append((image, known))
    return made
