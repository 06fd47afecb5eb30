"""INT8 and FP16 against FP32 on one backend: their speed in interleaved rounds, and how far they are from FP32.

    python -m tests.gpu.int8 prepare ARTIFACTS                       all forms of the embedded networks, on any machine
    python -m tests.gpu.int8 measure ARTIFACTS OUT [--backend cuda]  OUT/int8.json and the tables in OUT/int8.md

`measure` makes what is missing or stale under ARTIFACTS, so `prepare` only spares the GPU machine the work on its CPU.
FP32 forms need not travel: they are unpacked from the package, the same to the bit, in no time.
The reference of every difference is FP32 on the CPU: on a GPU FP32 convolutions compute in TF32.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from trtkit import config as configuration
from trtkit import models
from trtkit.bench.rounds import Stopwatch, interleave, ratio
from trtkit.calib import accuracy, images
from trtkit.calib.run import Wish, calibrate
from trtkit.calib.standing import int8_form
from trtkit.calib.subject import Subject, opened
from trtkit.calib.target import Target
from trtkit.config import Config
from trtkit.errors import Mistake
from trtkit.export.run import ensure
from trtkit.runtime import select
from trtkit.runtime.backend import Arrays, Backend
from trtkit.runtime.cpu import CpuBackend
from trtkit.runtime.gpu import GpuBackend

PRECISIONS = ("fp32", "fp16", "int8")
DRAWN = 12
"""Held-out drawn pictures that a network is compared on which sees what others find: it and the finders in the package
were trained on drawn faces."""


@dataclass(frozen=True)
class Case:
    """A network, the shapes (side, batch) it is timed at, and the sides it is compared with FP32 at."""

    model: str
    network: str
    timed: tuple[tuple[int, int], ...]
    compared: tuple[int, ...]

    @property
    def name(self) -> str:
        return f"{self.model}/{self.network}"


CASES = (  # the quick ones first: the time is bounded
    Case("dct_net", "head", ((288, 1), (288, 8)), (288,)),
    Case("dct_net", "background", ((720, 1), (720, 8)), (720,)),
    Case("hrn", "net_recon", ((224, 1), (224, 8)), (224,)),
    Case("cv_unet", "matting", ((512, 1), (512, 8), (1024, 1), (1024, 8)), (256, 512)),
)


def target_of(case: Case, root: Path) -> Target:
    """Its FP32, FP16 and INT8 forms under `root`, made unless they stand there and belong to the weights of now."""
    model = models.get(case.model)
    target = Target(model, model.network(case.network), root, configuration.load())
    ensure(model, target.spec, "fp16", root, target.config)
    try:
        int8_form(target)
    except Mistake as error:
        print(f"{case.name}: {error}", flush=True)
        calibrate(target, Wish())
    return target


def wide(case: Case) -> Config:
    """The package's settings with one profile that admits every shape of the case: engines.yaml's bound memory, and
    stop at smaller batches."""
    raw = configuration.load().model_dump(by_alias=True)
    side = max(side for side, _ in case.timed)
    batch = max(batch for _, batch in case.timed)
    least = min(*case.compared, *(side for side, _ in case.timed))
    shape = {"min": [1, least, least, 3], "opt": [1, side, side, 3], "max": [batch, side, side, 3]}
    raw["models"][case.model]["networks"][case.network]["profiles"] = [{"image": shape}]
    return Config.model_validate(raw)


def portraits() -> dict[str, np.ndarray]:
    """Real portraits that ship inside libraries: RGB uint8, whole, mirrored, and the head alone."""
    from skimage import data

    whole = {"astronaut": data.astronaut()}
    heads = {"astronaut's head": whole["astronaut"][0:290, 80:370]}
    try:
        from matplotlib import cbook
        from PIL import Image
    except ImportError:
        print("matplotlib is not here, so its portrait is left out", flush=True)
    else:
        with cbook.get_sample_data("grace_hopper.jpg") as stream:
            officer = np.asarray(Image.open(stream).convert("RGB"))
        whole["officer"], heads["officer's head"] = officer, officer[20:360, 90:430]
    mirrored = {f"{name}, mirrored": np.ascontiguousarray(rgb[:, ::-1]) for name, rgb in whole.items()}
    return whole | mirrored | heads


def batch_of(target: Target, side: int, batch: int) -> Arrays:
    """`batch` different crops of the portraits: zeros run faster than pictures."""
    pictures = list(portraits().values())
    dice = np.random.default_rng(batch)
    crops = []
    for number in range(batch):
        picture = pictures[number % len(pictures)]
        top, left = dice.integers(0, 32, 2)
        crops.append(picture[top:, left:])
    arrays = target.model.sample_inputs(target.spec.name, crops, (side, side))
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def seen(target: Target, subject: Subject, side: int) -> Iterator[tuple[str, Arrays]]:
    """What the network is compared on, a batch of one each: all portraits at this side, or of the held-out drawn
    pictures what the networks before it find."""
    if target.studied is None:
        for name, picture in portraits().items():
            yield name, target.model.sample_inputs(target.spec.name, [picture], (side, side))
        return
    drawn = images.drawn(DRAWN, target.studied.draw, held_out=True)
    for name, picture in zip(drawn.hashes, drawn.pixels(), strict=True):
        if (arrays := subject.inputs(picture)) is not None:
            yield name, arrays


def differences(target: Target, loaded: dict[str, Backend], side: int) -> dict[str, dict[str, Any]]:
    """Precision → accuracy.summary's figures against FP32 on the CPU. `judged` names the one whose mean and worst
    picture count, `unit` its unit."""
    output, studied = target.spec.outputs[0], target.studied
    judged, unit = (studied.figure, studied.unit) if studied is not None else ("mae", target.spec.unit)
    rows: dict[str, dict[str, dict[str, float]]] = {name: {} for name in loaded}
    with opened(target) as subject, CpuBackend(target.exact.path) as exact:
        for name, arrays in seen(target, subject, side):
            wanted = exact.run(arrays)
            for precision, backend in loaded.items():
                rows[precision][name] = subject.figures(output, wanted, backend.run(arrays))
    found = {precision: accuracy.summary(per_image) for precision, per_image in rows.items()}
    return {
        precision: one.figures
        | {"judged": judged, "unit": unit, "worst": one.worst, "worst_mean": one.per_image[one.worst]}
        for precision, one in found.items()
    }


def speed(loaded: dict[str, Backend], arrays: Arrays, rounds: int, each: int) -> dict[str, Any]:
    """Milliseconds of a whole step (host to host) and, on a GPU, of the run alone; ratios of the same rounds."""
    shapes = {name: array.shape for name, array in arrays.items()}
    for backend in loaded.values():
        if isinstance(backend, GpuBackend):
            backend.warm_up(shapes)
        backend.run(arrays)

    def contender(backend: Backend) -> Callable[[Stopwatch], None]:
        def step(watch: Stopwatch) -> None:
            with watch.stage("step"):
                for _ in range(each):
                    backend.run(arrays)

        return step

    steps = interleave({name: contender(backend) for name, backend in loaded.items()}, rounds)
    found: dict[str, Any] = {
        "step_ms": {name: timing.median / each * 1e3 for name, timing in steps.items()},
        "step_fp16_over_int8": vars(ratio(steps["fp16"], steps["int8"])),
        "step_fp32_over_fp16": vars(ratio(steps["fp32"], steps["fp16"])),
    }
    alone: dict[str, list[float]] = {name: [] for name in loaded}
    for number in range(rounds):
        for name in list(loaded)[:: 1 if number % 2 else -1]:
            backend = loaded[name]
            if isinstance(backend, GpuBackend):
                alone[name].append(median(backend.time_alone(shapes, each)))
    if all(alone.values()):
        ratios = [a / b for a, b in zip(alone["fp16"], alone["int8"], strict=True)]
        found["alone_ms"] = {name: median(times) * 1e3 for name, times in alone.items()}
        found["alone_fp16_over_int8"] = {"median": median(ratios), "least": min(ratios), "greatest": max(ratios)}
    return found


def measure(root: Path, backend: str, rounds: int, each: int, budget: float) -> Iterator[dict[str, Any]]:
    """One record a network, as it is measured. Past `budget` seconds no further shape is begun, and that is said."""
    began = time.perf_counter()
    for case in CASES:
        target, settings = target_of(case, root), wide(case)
        record: dict[str, Any] = {"network": case.name, "speed": {}, "differences": {}, "notes": []}
        with ExitStack() as stack:
            loaded: dict[str, Backend] = {}
            for precision in PRECISIONS:
                one = select.load(
                    target.model, target.spec, root, backend, slots=1, config=settings, precision=precision
                )
                stack.callback(one.backend.close)
                loaded[precision], record["where"] = one.backend, one.where.removesuffix(f", {precision}")
            for side in case.compared:
                record["differences"][str(side)] = differences(target, loaded, side)
            for side, batch in case.timed:
                shape = f"{batch} x {side} x {side}"
                if time.perf_counter() - began > budget:
                    record["notes"].append(f"{shape} was not timed: the {budget:g} s were over")
                    continue
                record["speed"][shape] = speed(loaded, batch_of(target, side, batch), rounds, each)
            for precision, one_backend in loaded.items():
                record["notes"] += [f"{precision}: {note}" for note in getattr(one_backend, "notes", ())]
        record["seconds"] = round(time.perf_counter() - began, 1)
        yield record


def besides(one: dict[str, Any]) -> str:
    """The other figures of one row of `differences`, with their units."""
    if "mae_percent" in one:
        return f"numbers: mean {one['mae_percent']:.3f} % of the largest, max {one['max']:.4f} (no unit)"
    last = f"SAD {one['sad_percent']:.3f} %" if "sad_percent" in one else f"PSNR {one['psnr']:.1f} dB"
    return f"max {one['max']:.0f} {one['unit']}, {last}"


def tables(records: list[dict[str, Any]]) -> str:
    """Both tables in Markdown: speed, and difference from FP32 on the CPU."""
    lines = [
        f"{records[0]['where']}" if records else "",
        "",
        "| network, batch x side x side | FP32 | FP16 | INT8 | FP16 over INT8 (least to greatest) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for record in records:
        for shape, found in record["speed"].items():
            kind = "alone" if "alone_ms" in found else "step"
            times, over = found[f"{kind}_ms"], found[f"{kind}_fp16_over_int8"]
            cells = " | ".join(f"{times[name]:.3g} ms" for name in PRECISIONS)
            spread = f"{over['median']:.2f} ({over['least']:.2f} to {over['greatest']:.2f})"
            lines.append(f"| {record['network']}, {shape} ({kind}) | {cells} | {spread} |")
    lines += [
        "",
        "| network, side (pictures) | form | mean | worst picture's mean | unit of both | besides |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for record in records:
        for side, forms in record["differences"].items():
            for precision, one in forms.items():
                lines.append(
                    f"| {record['network']}, {side} ({one['images']:.0f}) | {precision} | {one[one['judged']]:.4f} | "
                    f"{one['worst_mean']:.4f} ({one['worst']}) | {one['unit']} | {besides(one)} |"
                )
    notes = [f"* {record['network']}: {note}" for record in records for note in record["notes"]]
    return "\n".join([*lines, "", *notes]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.int8")
    parser.add_argument("verb", choices=("prepare", "measure"))
    parser.add_argument("artifacts", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("build/gpu"))
    parser.add_argument("--backend", default="cuda")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--each", type=int, default=20, help="runs a round")
    parser.add_argument("--budget", type=float, default=45, help="seconds after which no further shape is timed")
    wanted = parser.parse_args()
    if wanted.verb == "prepare":
        for case in CASES:
            target_of(case, wanted.artifacts)
        return
    wanted.out.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    for record in measure(wanted.artifacts, wanted.backend, wanted.rounds, wanted.each, wanted.budget):
        records.append(record)
        (wanted.out / "int8.json").write_text(json.dumps(records, indent=1) + "\n")
        (wanted.out / "int8.md").write_text(tables(records))
    print(tables(records), flush=True)


if __name__ == "__main__":
    main()
