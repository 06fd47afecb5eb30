"""`bench host`: what surrounds the network on the host, against the way it is usually written.

Both sides take the same JPEG bytes and the same 512-pixel alpha, and end in the same kind of PNG in memory.

Ours: OpenCV decode, uint8 letterbox, guided upsampling of alpha, foreground colours, level-1 PNG.
The usual way: Pillow decodes the whole file; the picture becomes float32 / 255, is resized (linear) and padded
with OpenCV; alpha is resized (linear) as float32, times 255; Pillow puts it in as the alpha channel of a
picture cleared where alpha is 0, and saves with its default level. It does less (no guide, no colours) and
is not made slow on purpose: the clearing shrinks its PNG and more than halves its encoding time.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from trtkit.bench.rounds import Ratio, Stopwatch, Timing, interleave, ratio
from trtkit.errors import Mistake
from trtkit.models.imaging.compose import cutout
from trtkit.models.imaging.decode import decode, decode_bytes
from trtkit.models.imaging.encode import encode
from trtkit.models.imaging.letterbox import content_size, letterbox
from trtkit.models.imaging.upsample import upsample_alpha
from trtkit.optional import need

EDGE = 512
"""Side of the network's canvas."""

OUTPUTS = {"rgba": "cut-out, RGBA PNG", "alpha": "alpha alone, grey PNG"}


@dataclass(frozen=True)
class Comparison:
    """One kind of output: both timings, `speedup` = usual way / ours, and the bytes that each produced."""

    output: str
    ours: Timing
    usual: Timing
    speedup: Ratio
    ours_bytes: int
    usual_bytes: int


@dataclass(frozen=True)
class HostReport:
    """`size` is (height, width) of the photograph, `photo` its name."""

    photo: str
    size: tuple[int, int]
    rounds: int
    comparisons: tuple[Comparison, ...]


def bench_host(photo: Path | None = None, rounds: int = 7) -> HostReport:
    """Measure the host side of one photograph, for a cut-out and for alpha alone.

    Without `photo`: 12 megapixels made from a photograph of scikit-image. Raises Mistake for a file that is no
    image or for `rounds` below 1, MissingComponent where scikit-image is needed and absent.
    """
    if rounds < 1:
        raise Mistake(f"--rounds is {rounds}; give 1 or more")
    if photo is None:
        name, data = "a 12-megapixel JPEG from scikit-image", sample_photograph()
        size = decode_bytes(data, name, at_least=(1, 1)).size
    else:
        size = decode(photo, at_least=(1, 1)).size
        name, data = str(photo), photo.read_bytes()
    alpha = silhouette(content_size(size, (EDGE, EDGE)))
    results: dict[str, bytes] = {}
    contenders: dict[str, Callable[[Stopwatch], None]] = {}
    for output in OUTPUTS:
        contenders[f"ours {output}"] = partial(_keep, results, f"ours {output}", _ours, data, alpha, output)
        contenders[f"usual {output}"] = partial(_keep, results, f"usual {output}", _usual, data, alpha, output)
    timings = interleave(contenders, rounds)
    comparisons = tuple(
        Comparison(
            output=output,
            ours=timings[f"ours {output}"],
            usual=timings[f"usual {output}"],
            speedup=ratio(timings[f"usual {output}"], timings[f"ours {output}"]),
            ours_bytes=len(results[f"ours {output}"]),
            usual_bytes=len(results[f"usual {output}"]),
        )
        for output in OUTPUTS
    )
    return HostReport(name, size, rounds, comparisons)


def sample_photograph(size: tuple[int, int] = (3000, 4000)) -> bytes:
    """A JPEG, quality 92, of `size` (height, width): scikit-image's astronaut enlarged, with a sensor's noise."""
    data = need("skimage.data", "the benchmark's own photograph (or give one with --photo)")
    small = data.astronaut()
    height, width = content_size(size, (small.shape[0], small.shape[1]))
    large = cv2.resize(small[:height, :width], size[::-1], interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).normal(0.0, 4.0, large.shape).astype(np.float32)
    return encode(np.rint(np.clip(large + noise, 0.0, 255.0)).astype(np.uint8), ".jpg")


def silhouette(size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 `size` (height, width): a soft-edged head and shoulders, what a matting network might answer."""
    height, width = size
    alpha = np.zeros(size, np.uint8)
    cv2.ellipse(alpha, (width // 2, height // 3), (width // 7, height // 4), 0.0, 0.0, 360.0, 255, -1)
    cv2.ellipse(alpha, (width // 2, height), (width // 3, height // 2), 0.0, 0.0, 360.0, 255, -1)
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.5), dtype=np.uint8)


def as_dict(report: HostReport) -> dict[str, Any]:
    """The report as JSON-able values; seconds, bytes and plain ratios."""
    return {
        "photo": report.photo,
        "height": report.size[0],
        "width": report.size[1],
        "rounds": report.rounds,
        "comparisons": [
            {
                "output": entry.output,
                "speedup": vars(entry.speedup),
                "ours": _side(entry.ours, entry.ours_bytes),
                "usual": _side(entry.usual, entry.usual_bytes),
            }
            for entry in report.comparisons
        ],
    }


def render(report: HostReport, console: Console | None = None) -> None:
    """Print the report: the ratios first, then the stages of both sides with their shares."""
    console = console or Console()
    height, width = report.size
    console.print(f"{report.photo}: {width}x{height}, median of {report.rounds} interleaved rounds", highlight=False)
    for entry in report.comparisons:
        table = Table(title=f"{OUTPUTS[entry.output]}: {entry.speedup.median:.1f} times as fast", title_justify="left")
        for column in ("", "trtkit ms", "share", "usual way ms", "share", "ratio"):
            table.add_column(column, justify="left" if not column else "right")
        spread = f"{entry.speedup.median:.2f} ({entry.speedup.least:.2f}..{entry.speedup.greatest:.2f})"
        table.add_row(
            "whole", f"{entry.ours.median * 1e3:.0f}", "", f"{entry.usual.median * 1e3:.0f}", "", spread, style="bold"
        )
        for name, seconds in entry.ours.stages.items():
            other = entry.usual.stages[name]
            table.add_row(
                name,
                f"{seconds * 1e3:.0f}",
                f"{entry.ours.shares[name]:.0%}",
                f"{other * 1e3:.0f}",
                f"{entry.usual.shares[name]:.0%}",
                f"{other / seconds:.2f}",
            )
        table.add_row("file MB", f"{entry.ours_bytes / 1e6:.2f}", "", f"{entry.usual_bytes / 1e6:.2f}", "", "")
        console.print(table)


def _keep(
    results: dict[str, bytes],
    key: str,
    run: Callable[[bytes, NDArray[np.uint8], str, Stopwatch], bytes],
    data: bytes,
    alpha: NDArray[np.uint8],
    output: str,
    watch: Stopwatch,
) -> None:
    results[key] = run(data, alpha, output, watch)


def _ours(data: bytes, alpha: NDArray[np.uint8], output: str, watch: Stopwatch) -> bytes:
    with watch.stage("decode"):
        picture = decode_bytes(data, "the photograph", limit_megapixels=float("inf"))
    with watch.stage("prepare"):
        boxed, placement = letterbox(picture.rgb, (EDGE, EDGE))
    with watch.stage("upsample alpha"):
        large = upsample_alpha(alpha, picture.size, picture.rgb, placement.crop(boxed))
    with watch.stage("compose"):
        image = cutout(picture.rgb, large) if output == "rgba" else large
    with watch.stage("encode"):
        return encode(image, ".png")


def _usual(data: bytes, alpha: NDArray[np.uint8], output: str, watch: Stopwatch) -> bytes:
    with watch.stage("decode"):
        picture = Image.open(io.BytesIO(data)).convert("RGB")
    with watch.stage("prepare"):
        scaled = cv2.resize(np.asarray(picture).astype(np.float32) / 255.0, alpha.shape[::-1])
        canvas = np.zeros((EDGE, EDGE, 3), np.float32)
        canvas[: scaled.shape[0], : scaled.shape[1]] = scaled
    with watch.stage("upsample alpha"):
        smooth = cv2.resize(alpha.astype(np.float32) / 255.0, picture.size)
        large = Image.fromarray((smooth * 255.0).astype(np.uint8))
    with watch.stage("compose"):
        image = large
        if output == "rgba":
            picture.putalpha(large)
            image = Image.composite(picture, Image.new("RGBA", picture.size, 0), large)
    with watch.stage("encode"):
        stream = io.BytesIO()
        image.save(stream, "PNG")
        return stream.getvalue()


def _side(timing: Timing, size: int) -> dict[str, Any]:
    return {"seconds": timing.median, "stages": timing.stages, "shares": timing.shares, "file_bytes": size}
