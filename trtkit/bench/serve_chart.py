"""`bench serve` as a picture: throughput of the contenders, latency of the server, sizes of its batches."""

from __future__ import annotations

from statistics import median

import cv2
import numpy as np

from trtkit.bench.serve import ALONE, SERVER, Report
from trtkit.models.imaging.encode import encode

_WIDTH, _ROW, _LEFT, _RIGHT = 1000, 26, 260, 190
_INK, _MAIN, _OTHER = (40, 40, 40), (176, 114, 42), (160, 160, 160)

Bar = tuple[str, float, str, bool]
"""Name, value, what is written behind the bar, whether it is the server's."""


def draw(report: Report) -> bytes:
    """A PNG: three groups of bars, each to a scale of its own."""
    clients = report.settings.clients
    alone = median(report.many[ALONE])
    groups: dict[str, list[Bar]] = {
        f"{clients} clients: pictures a second (longer is better)": [
            (name, median(found), f"{median(found):.1f} ({median(found) / alone:.2f})", name == SERVER)
            for name, found in report.many.items()
        ],
        f"One client: latency, {report.overhead * 1e3:+.1f} ms at p50": [
            (f"{name}, p{p}", samples.percentile(p), f"{samples.percentile(p) * 1e3:.1f} ms", name == SERVER)
            for name, samples in report.lone.items()
            for p in (50, 90, 99)
        ],
        f"{clients} clients: latency": [
            (f"{SERVER}, p{p}", report.latency[SERVER].percentile(p), _ms(report.latency[SERVER].percentile(p)), True)
            for p in (50, 90, 99)
        ],
        f"Pictures a run, mean {report.mean_batch:.2f} of {report.batch}": [
            (f"{size}", float(runs), f"{runs} runs", True) for size, runs in sorted(report.batches.items())
        ],
    }
    rows = sum(len(bars) + 2 for bars in groups.values())
    image = np.full((80 + rows * _ROW, _WIDTH, 3), 255, np.uint8)
    gain = f", gain from batching {report.gain:.2f} (backend alone {report.own_gain:.2f})" if report.own_gain else ""
    _write(image, f"{report.settings.model} served{gain}", 20, 28, 0.6)
    _write(image, f"{report.device}; {report.host}; host's share {report.host_share:.0%}", 20, 52, 0.45)
    y = 84
    for title, bars in groups.items():
        _write(image, title, 20, y, 0.5)
        longest = max((value for _, value, _, _ in bars), default=1.0)
        for name, value, text, ours in bars:
            y += _ROW
            end = _LEFT + int((_WIDTH - _LEFT - _RIGHT) * value / longest)
            cv2.rectangle(image, (_LEFT, y - 15), (end, y + 3), _MAIN if ours else _OTHER, -1)
            _write(image, name, 36, y, 0.45)
            _write(image, text, end + 8, y, 0.45)
        y += 2 * _ROW
    return encode(image[..., ::-1], ".png")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


def _write(image: np.ndarray, text: str, x: int, y: int, scale: float) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, 1, cv2.LINE_AA)
