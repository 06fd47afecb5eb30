"""Where the faces of a picture are, down to 68 landmarks: RetinaFace, 106 points, S³FD and FAN, in four batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn import find_faces, points68, points106, specs
from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.align import FIVE_OF_106, BoxRegressor, box_of, square
from trtkit.models.hrn.networks_run import Networks

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Located:
    """`box` (x1, y1, x2, y2) by RetinaFace; `points` float32 [68, 2], x and y downward, pixels of the picture."""

    box: Floats
    points: Floats


def boxes(networks: Networks, rgb: Image) -> Floats:
    """[K, 4], the surest first."""
    found = networks.run(specs.RETINAFACE, find_faces.to_input(rgb)[None])
    return find_faces.boxes_of(found["boxes"][0], found["scores"][0], (rgb.shape[0], rgb.shape[1]))


def points_106(networks: Networks, rgb: Image, faces: Floats) -> Floats:
    """Boxes [K, 4] → [K, 106, 2]: around the box first, then around what that gave."""
    squares = [points106.around_box(box) for box in faces]
    points = _look(networks, rgb, squares)
    return _look(networks, rgb, [points106.around_points(each) for each in points])


def _look(networks: Networks, rgb: Image, squares: list[points106.Square]) -> Floats:
    inputs = np.stack([points106.to_input(rgb, each) for each in squares])
    answers = networks.first(specs.LANDMARKS, inputs)
    return np.stack([points106.to_picture(*pair) for pair in zip(answers, squares, strict=True)])


def points_68(networks: Networks, rgb: Image, coarse: Floats, regressor: BoxRegressor) -> list[Floats | None]:
    """Points [K, 106, 2] → 68 points a face; None where S³FD sees no face in the crop around them."""
    places = [_place(points[list(FIVE_OF_106)], regressor) for points in coarse]
    # A square of twice the picture is the most that the official code's canvas holds.
    usable = [k for k, place in enumerate(places) if 2 <= place[2] <= 2 * max(rgb.shape[:2])]
    found: list[Floats | None] = [None] * len(coarse)
    if not usable:
        return found
    crops = [square(rgb, *places[k]) for k in usable]
    seen = networks.run(specs.S3FD, np.stack([points68.detector_input(crop) for crop in crops]))
    marked = [points68.box_of(*pair) for pair in zip(seen["boxes"], seen["scores"], strict=True)]
    windows = [None if box is None else points68.window_of(box) for box in marked]
    kept = [(k, crop, one) for k, crop, one in zip(usable, crops, windows, strict=True) if one is not None]
    if not kept:
        return found
    heat = networks.first(specs.FAN, np.stack([points68.fan_input(crop, window) for _, crop, window in kept]))
    for maps, (k, _, window) in zip(heat, kept, strict=True):
        x, y, side = places[k]
        points = points68.points_of(maps, window) * (side / specs.FACE) + [x, y]
        found[k] = points.astype(np.float32)
    return found


def _place(five: Floats, regressor: BoxRegressor) -> tuple[int, int, int]:
    """The square around five points; one of side 0 around points that fall together or are not finite."""
    usable = np.isfinite(five).all() and np.ptp(five, axis=0).max() > 0
    return box_of(five, regressor) if usable else (0, 0, 0)


def faces(networks: Networks, rgb: Image, found: Floats, regressor: BoxRegressor) -> list[Located]:
    """The located faces among boxes [K, 4], in their order; those that S³FD does not confirm are left out."""
    coarse = points_106(networks, rgb, found)
    points = points_68(networks, rgb, coarse, regressor)
    return [Located(box, each) for box, each in zip(found, points, strict=True) if each is not None]
