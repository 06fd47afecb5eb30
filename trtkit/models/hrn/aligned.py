"""Picture → the crops that net_recon sees: the faces found, located and laid as the standard face lies."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.errors import Mistake
from trtkit.models.hrn import LONGEST, locate, specs
from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.align import BoxRegressor, Frame, cut, five_of_68, frame_of
from trtkit.models.hrn.networks_run import Networks
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import StageClock

Image = NDArray[np.uint8]
REDUCED = 1500
"""The long side that a picture with a side over LONGEST is worked on at."""


@dataclass(frozen=True)
class Aligned:
    """The N faces that could be aligned, the surest first: RGB crops uint8 `small` [N, 224, 224, 3] and `sharp`
    [N, 512, 512, 3]; the `frames` of the small ones, `boxes` [N, 4] and `points` [N, 68, 2] in pixels of the decoded
    picture; `left_out`: faces that were found but could not be aligned."""

    small: Image
    sharp: Image
    frames: tuple[Frame, ...]
    boxes: Floats
    points: Floats
    left_out: int


def align(
    networks: Networks,
    regressor: BoxRegressor,
    standard: Floats,
    picture: Picture,
    all_faces: bool,
    clock: StageClock,
) -> Aligned:
    """The surest face of `picture`, or with `all_faces` every one; `standard` [5, 3] is the face they are laid like.

    Raises Mistake, naming the picture, where no face is found or none can be aligned.
    """
    rgb, shrunk = _reduced(picture.rgb)
    with clock.stage("detect"):
        boxes = locate.boxes(networks, rgb)
        if not len(boxes):
            raise Mistake(f"{picture.source} shows no face that RetinaFace finds; give a picture of a person")
        boxes = boxes if all_faces else boxes[:1]
    with clock.stage("landmarks"):
        located = locate.faces(networks, rgb, boxes, regressor)
    with clock.stage("align"):
        size = (rgb.shape[0], rgb.shape[1])
        # One whose landmarks fall together has no place.
        kept = [face for face in located if np.ptp(five_of_68(face.points), axis=0).min() >= 1]
        if not kept:
            x1, y1, x2, y2 = (round(float(v / shrunk)) for v in boxes[0])
            raise Mistake(
                f"{picture.source}: the face at {x1},{y1} to {x2},{y2} cannot be aligned, its landmarks are not "
                "to be seen; give a larger or less hidden one"
            )
        fives = [five_of_68(face.points) for face in kept]
        frames = tuple(frame_of(five, standard, size, specs.FACE) for five in fives)
        sharp = [frame_of(five, standard, size, specs.TEXTURE) for five in fives]
        return Aligned(
            small=np.stack([cut(rgb, frame) for frame in frames]),
            sharp=np.stack([cut(rgb, frame) for frame in sharp]),
            frames=tuple(replace(frame, scale=frame.scale * shrunk) for frame in frames),
            boxes=np.stack([face.box for face in kept]) / shrunk,
            points=np.stack([face.points for face in kept]) / shrunk,
            left_out=len(boxes) - len(kept),
        )


def _reduced(rgb: Image) -> tuple[Image, float]:
    """(the picture to work on, its scale): long side 1500, by bicubic, if a side is over 2000."""
    longest = max(rgb.shape[:2])
    if longest <= LONGEST:
        return rgb, 1.0
    scale = REDUCED / longest
    height, width = (max(1, int(side * scale)) if side < longest else REDUCED for side in rgb.shape[:2])
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8), scale
