"""A picture of synthetic faces, and networks that know them and read from the picture's colours where they look.

Around each face red and green count its columns and rows, and blue is its number. A network finds the face and the
place of its crop by these, and answers with the truth in its own terms: every crop, decoding and way back must fit,
or what goes in does not come out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np

from trtkit.models.hrn import specs
from trtkit.models.hrn.coefficients import join
from trtkit.models.hrn.geometry.align import FIVE_OF_106, five_of_68
from trtkit.models.hrn.synthetic import portrait

_LEVELS, _BELOW, _STEP = 160, 48, 20


@dataclass
class Truth:
    """One face: its coefficients, its 68 points in the picture's pixels, the square (x, y, side) it was drawn in."""

    face: object
    points: np.ndarray
    place: tuple[int, int, int]

    @property
    def box(self):
        return np.concatenate([self.points.min(axis=0) - 4, self.points.max(axis=0) + 4]).round()

    @property
    def points_106(self):
        """The five that count at their places, the others on the first 68."""
        points = self.points[np.arange(106) % 68].copy()
        points[list(FIVE_OF_106)] = five_of_68(self.points)
        return points


def scene(model, uv, places, size, seed=0):
    """(picture uint8 [H, W, 3], truths): a face in each square (x, y, side) of `places` on a picture of `size`."""
    rng = np.random.default_rng(seed)
    image = np.zeros((*size, 3), np.uint8)
    rows, columns = np.mgrid[: size[0], : size[1]]
    nearest = np.argmin([np.hypot(columns - x - s / 2, rows - y - s / 2) for x, y, s in places], axis=0)
    truths = []
    for k, (x, y, side) in enumerate(places):
        face = portrait.random_face(rng)
        points = portrait.picture(model, uv, face, side)[1]
        here = nearest == k
        image[..., 0][here] = _code(columns[here] - x, side)
        image[..., 1][here] = _code(rows[here] - y, side)
        image[..., 2][here] = (k + 1) * _STEP
        truths.append(Truth(face, points + np.array([x, y]), (x, y, side)))
    return image, truths


def _code(offsets, side):
    return np.clip(offsets / side * _LEVELS + _BELOW + 0.5, 0, 255).astype(np.uint8)


def _read(crop, truths):
    """An RGB crop [h, w, 3] in 0..255 → (its face, (scale, shift)): index in crop = (picture − shift) / scale."""
    height, width = crop.shape[:2]
    middle = crop[height // 3 : -height // 3, width // 3 : -width // 3, 2]
    number = int(np.median(middle[middle > _STEP / 2])) + _STEP // 2
    truth = truths[number // _STEP - 1]
    same = np.abs(crop[..., 2] - (number // _STEP) * _STEP) < 3
    x, y, side = truth.place
    found = []
    for channel, start in ((0, x), (1, y)):
        usable = same & (crop[..., channel] > 3) & (crop[..., channel] < 252)
        usable = cv2.erode(usable.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
        index = np.nonzero(usable)[1 - channel]
        coordinate = (crop[..., channel][usable] - _BELOW) / _LEVELS * side + start
        found.append(np.polyfit(index, coordinate, 1))
    scale, shift = np.array(found).T
    return truth, lambda points: (points - shift) / scale


class Scripted:
    """A backend whose answer is computed from the batch and the number of the call."""

    name, device, profiles = "cpu", "scripted", ()

    def __init__(self, spec, answer, counts):
        self.spec, self._answer, self._counts = spec, answer, counts
        self.batches = []

    def run(self, arrays):
        ((name, batch),) = arrays.items()
        entry = self.spec.inputs[0]
        assert name == entry.name
        assert batch.dtype == entry.dtype
        assert batch.shape[1:] == entry.shape[1:]
        assert batch.flags.c_contiguous
        call = self._counts[self.spec.name]
        self._counts[self.spec.name] += 1
        self.batches.append(batch)
        outputs = self._answer(call, batch)
        for tensor in self.spec.outputs:
            assert outputs[tensor.name].shape == (len(batch), *tensor.shape[1:])
        return {name: np.asarray(values, np.float32) for name, values in outputs.items()}

    def close(self):
        pass


def _logits(anchors, surest):
    scores = np.tile(np.array([5.0, -5.0]), (anchors, 1))
    for rank, index in enumerate(surest):
        scores[index] = (-5.0, 5.0 - rank * 0.1)
    return scores


def _offsets(boxes, anchor, variances=(0.1, 0.2)):
    """What a detector says for `boxes` (x1, y1, x2, y2) from one anchor each (centre x, y, side)."""
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    sides = anchor[:, 2:]
    return np.concatenate(
        [(centre - anchor[:, :2]) / sides / variances[0], np.log(size / sides) / variances[1]], axis=1
    )


def networks(truths, size, heights=(0.0, 0.0), blind=()):
    """(backends by name, counts of runs). `heights`: what mid_net and high_net give everywhere; `blind`: indices of
    faces that S3FD does not see."""
    counts = Counter()
    scale = 512 / max(size)
    pad = [(512 - round(size[1] * scale)) // 2, (512 - round(size[0] * scale)) // 2]
    hidden = [id(truths[k]) for k in blind]

    def retinaface(_call, _batch):
        offsets = np.zeros((10752, 4))
        found = []
        for truth in truths:
            mapped = truth.box * scale + [*pad, *pad]
            column, row = np.clip((mapped[:2] + mapped[2:]) / 2 // 8, 0, 63).astype(int)
            index = int((row * 64 + column) * 2)  # the first level's anchor of 16 pixels in that cell
            anchor = np.array([[(column + 0.5) * 8, (row + 0.5) * 8, 16.0]])
            offsets[index] = _offsets(mapped[None], anchor)[0]
            found.append(index)
        return {"boxes": offsets[None], "scores": _logits(10752, found)[None], "points": np.zeros((1, 10752, 10))}

    def landmarks(_call, batch):
        answers = []
        for face in batch:
            truth, inside = _read(face.transpose(1, 2, 0) * 255 + [103.94, 116.78, 123.68], truths)
            answers.append((inside(truth.points_106) / 224).reshape(-1))
        return {"points": np.stack(answers)}

    def s3fd(_call, batch):
        offsets, logits = np.zeros((len(batch), 4282, 4)), []
        # The level of stride 16 starts after 56² + 28² cells; its middle cell is (7, 7) of 14.
        index, anchor = 56 * 56 + 28 * 28 + 7 * 14 + 7, np.array([[8 + 7 * 16, 8 + 7 * 16, 64.0]])
        for k, image in enumerate(batch):
            truth, inside = _read((image.transpose(1, 2, 0) + np.array([104, 117, 123]))[..., ::-1], truths)
            points = inside(truth.points)
            box = np.concatenate([points.min(axis=0), points.max(axis=0)])
            offsets[k, index] = _offsets(box[None], anchor)[0]
            logits.append(_logits(4282, [] if id(truth) in hidden else [index]))
        return {"boxes": offsets, "scores": np.stack(logits)}

    def fan(_call, batch):
        maps = []
        row, column = np.mgrid[:64, :64]
        for face in batch:
            truth, inside = _read(face.transpose(1, 2, 0) * 255, truths)
            cells = (inside(truth.points) + 0.5) / 4 - 0.5
            maps.append(np.exp(-((column - cells[:, 0, None, None]) ** 2 + (row - cells[:, 1, None, None]) ** 2) / 4))
        return {"heat": np.stack(maps)}

    def recon(_call, batch):
        return {"coefficients": np.concatenate([join(_read(image.astype(float), truths)[0].face) for image in batch])}

    answers = [
        (specs.RETINAFACE, retinaface),
        (specs.LANDMARKS, landmarks),
        (specs.S3FD, s3fd),
        (specs.FAN, fan),
        (specs.RECON, recon),
        (specs.MID_NET, lambda _, batch: {"deformation": np.full((len(batch), 3, 64, 64), heights[0])}),
        (specs.HIGH_NET, lambda _, batch: {"displacement": np.full((len(batch), 1, 256, 256), heights[1])}),
        (specs.DE_RETOUCH, lambda _, batch: {"layer": np.full((len(batch), 3, 512, 512), 0.5)}),
    ]
    return {spec.name: Scripted(spec, answer, counts) for spec, answer in answers}, counts
