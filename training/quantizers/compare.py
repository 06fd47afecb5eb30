"""trtkit's quantizer, ONNX Runtime's and NVIDIA Model Optimizer's on the embedded networks, with the same pictures.

    python -m training.quantizers.compare [--modelopt-python PYTHON] [--out DIR] [--only MODEL/NETWORK] [--limit N]

PYTHON is of an environment made with: pip install 'nvidia-modelopt[onnx]'; without it its rows are left out, which is
said. DIR/quantizers.md holds the table of docs/calibrate.md. Calibration: the drawn portraits; judged against FP32 on
portraits drawn by another program for the matting network, on photographs for the cartoon networks. All on the CPU,
without graph optimizations.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from tests.gpu.int8 import portraits
from training.quantizers import others
from trtkit import config as configuration
from trtkit import models
from trtkit.build_engines.log_lines import logger
from trtkit.build_engines.precision_share import share_of_network
from trtkit.build_engines.tensorrt_rtx import module
from trtkit.calib import accuracy, images
from trtkit.calib.run import Wish, calibrate
from trtkit.calib.target import Target
from trtkit.config import Config
from trtkit.errors import TrtkitError
from trtkit.runtime.cpu import CpuBackend

NETWORKS = (("dct_net", "head", 288), ("dct_net", "background", 288), ("cv_unet", "matting", 256))
"""Model, network, side at which it is calibrated and judged."""
PORTRAITS = 32


@dataclass(frozen=True)
class Row:
    """One quantizer's file. `figures`: accuracy.summary's against FP32, None if it does not run; `parsed`: layers by
    TensorRT-RTX's count, None if it refuses the file; the texts say why, '' where all is well."""

    network: str
    quantizer: str
    figures: dict[str, float] | None
    int8: int | None
    layers: int | None
    checker: str
    runs: str
    parsed: str


def judge(path: Path, network: str, quantizer: str, target: Target, pictures: list[np.ndarray], side: int) -> Row:
    """The file by onnx.checker, ONNX Runtime on the CPU and TensorRT-RTX's parser, and its accuracy."""
    checker = _said(lambda: onnx.checker.check_model(onnx.load(path), full_check=True))
    figures: dict[str, float] = {}
    runs = _said(lambda: figures.update(_accuracy(path, target, pictures, side)))
    counted: list[Any] = []
    parsed = _said(lambda: counted.append(_share(path)))
    share = counted[0] if counted else None
    return Row(
        network,
        quantizer,
        figures or None,
        share.int8 if share else None,
        share.compute_layers if share else None,
        checker,
        runs,
        parsed,
    )


def _said(work: Callable[[], object]) -> str:
    try:
        work()
    except Exception as error:  # three libraries' own types, and the sentence is what the table needs
        return " ".join(str(error).split())[:200]
    return ""


def _accuracy(path: Path, target: Target, pictures: list[np.ndarray], side: int) -> dict[str, float]:
    output = target.spec.outputs[0]
    rows = {}
    plain = onnxruntime.SessionOptions()
    # As the file is written: ONNX Runtime's rewriting of Q/DQ around FP16 changes what Model Optimizer's files give.
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    int8 = onnxruntime.InferenceSession(path, plain, providers=["CPUExecutionProvider"])
    with CpuBackend(target.exact.path) as fp32:
        for number, picture in enumerate(pictures):
            arrays = target.model.sample_inputs(target.spec.name, [picture], (side, side))
            found = int8.run([output.name], arrays)[0]
            rows[str(number)] = accuracy.figures(output, fp32.run(arrays)[output.name], found)
    return accuracy.summary(rows).figures


def _share(path: Path) -> Any:
    trt = module()
    builder = trt.Builder(logger(trt))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger(trt))
    if not parser.parse(path.read_bytes()):
        raise RuntimeError(parser.get_error(0).desc())
    return share_of_network(trt, network)


def settings(model: str, network: str, side: int) -> Config:
    """The package's, with the network calibrated at `side`."""
    raw = configuration.load().model_dump(by_alias=True)
    raw["models"][model]["networks"][network]["profiles"][0]["image"]["opt"] = [1, side, side, 3]
    return Config.model_validate(raw)


def judged_on(model: str, side: int) -> list[np.ndarray]:
    """Pictures that no quantizer has seen: RGB uint8."""
    real = list(portraits().values())
    if model == "cv_unet":
        from training.cv_unet.evaluate import held_out

        return [*held_out(PORTRAITS, side)[0], *real]
    return [*(images.shipped().pixels()), *real]


def compare(model: str, network: str, side: int, out: Path, python: Path | None, limit: int | None = None) -> list[Row]:
    """Every quantizer on one network; a row each, files under `out`. `limit`: pictures to calibrate and judge on."""
    name = f"{model}/{network}"
    chosen = models.get(model)
    target = Target(chosen, chosen.network(network), out / "trtkit", settings(model, network, side))
    done = calibrate(target, Wish(limit=limit))
    drawn = [target.model.sample_inputs(network, [one], (side, side))["image"] for one in images.drawn(limit).pixels()]
    pictures, unseen = np.concatenate(drawn), judged_on(model, side)[:limit]
    left_out = done.manifest.made_with.flags["fp16"]
    rows = [judge(target.onnx("int8"), name, "trtkit", target, unseen, side)]

    def add(title: str, quantize: Callable[[Path], str]) -> None:
        path = out / f"{network}.{title.translate(str.maketrans(' ,', '__'))}.onnx"
        try:
            version = quantize(path)
        except Exception as error:  # others' code; that it fails is a finding
            failed = " ".join(str(error).split())[:200]
            rows.append(Row(name, title, None, None, None, failed, failed, failed))
        else:
            rows.append(judge(path, name, f"{title} ({version})", target, unseen, side))
        print(rows[-1], flush=True)

    print(rows[-1], flush=True)
    source = target.exact.path
    for label, excluded in (("", []), (", trtkit's layers", left_out)):
        add(f"ONNX Runtime{label}", lambda path, e=excluded: others.onnxruntime_static(source, pictures, path, e))
        if python is None:
            continue
        for method in ("max", "entropy"):
            add(
                f"Model Optimizer {method}{label}",
                lambda path, m=method, e=excluded: others.model_optimizer(python, source, pictures, path, m, e),
            )
    return rows


def table(rows: list[Row]) -> str:
    lines = [
        "| network | quantizer | mean error | worst pixel | SAD or PSNR | Int8 layers | file |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        found = row.figures or {}
        last = f"{found['sad_percent']:.2f} %" if "sad_percent" in found else f"{found.get('psnr', 0):.1f} dB"
        errors = f"{found['mae']:.3f} | {found['max']:.0f} | {last}" if found else "- | - | -"
        share = f"{row.int8} of {row.layers}" if row.layers else "-"
        wrong = [
            f"{who}: {what}"
            for who, what in (("checker", row.checker), ("ONNX Runtime", row.runs), ("TensorRT-RTX", row.parsed))
            if what
        ]
        lines.append(f"| {row.network} | {row.quantizer} | {errors} | {share} | {'; '.join(wrong) or 'accepted'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.quantizers.compare")
    parser.add_argument("--modelopt-python", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/quantizers"))
    parser.add_argument("--only", help="MODEL/NETWORK")
    parser.add_argument("--limit", type=int, help="pictures to calibrate and to judge on, for a quick look")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    if wanted.modelopt_python is None:
        print("Model Optimizer is left out: name a Python that has nvidia-modelopt[onnx] with --modelopt-python")
    rows: list[Row] = []
    for model, network, side in NETWORKS:
        if wanted.only not in (None, f"{model}/{network}"):
            continue
        try:
            rows += compare(model, network, side, wanted.out, wanted.modelopt_python, wanted.limit)
        except TrtkitError as error:
            raise SystemExit(f"{model}/{network}: {error}") from error
        (wanted.out / "quantizers.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
        (wanted.out / "quantizers.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
