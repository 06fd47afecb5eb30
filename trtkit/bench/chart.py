"""`bench run` as a picture: bars of latency relative to ours, one group a batch size. Drawn with OpenCV alone."""

from __future__ import annotations

import cv2
import numpy as np

from trtkit.bench.contenders import ALONE, OURS
from trtkit.bench.run import Report
from trtkit.models.imaging.encode import encode

_WIDTH, _ROW, _LEFT, _RIGHT = 1000, 26, 260, 120
_INK, _PALE, _MAIN, _OTHER = (40, 40, 40), (225, 225, 225), (176, 114, 42), (160, 160, 160)


def draw(report: Report) -> bytes:
    """A PNG. Longer bars are slower; the first line of each group is ours, at 1."""
    groups = {
        batch: {name: samples.p50 / found[OURS].p50 for name, samples in found.items() if name != ALONE}
        for batch, found in report.steps.items()
    }
    rows = sum(len(group) + 2 for group in groups.values())
    image = np.full((80 + rows * _ROW, _WIDTH, 3), 255, np.uint8)
    longest = max(ratio for group in groups.values() for ratio in group.values())
    settings = report.settings
    _write(image, f"{settings.model}/{report.network}: latency of one step, trtkit = 1", 20, 28, 0.6)
    _write(image, report.device.partition(";")[0], 20, 52, 0.45)
    y = 84
    for batch, group in groups.items():
        _write(image, f"batch {batch}: {report.steps[batch][OURS].p50 * 1e3:.2f} ms", 20, y, 0.5)
        for name, ratio in group.items():
            y += _ROW
            end = _LEFT + int((_WIDTH - _LEFT - _RIGHT) * ratio / longest)
            cv2.rectangle(image, (_LEFT, y - 15), (_WIDTH - _RIGHT, y + 3), _PALE, 1)
            cv2.rectangle(image, (_LEFT, y - 15), (end, y + 3), _MAIN if name.startswith(OURS) else _OTHER, -1)
            _write(image, name, 36, y, 0.45)
            _write(image, f"{ratio:.2f}", end + 8, y, 0.45)
        y += 2 * _ROW
    return encode(image[..., ::-1], ".png")


def _write(image: np.ndarray, text: str, x: int, y: int, scale: float) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, 1, cv2.LINE_AA)
