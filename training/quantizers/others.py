"""The same FP32 network and calibration pictures, handed to quantizers that are not trtkit's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

PROCESS = Path(__file__).parent / "modelopt_process.py"
COMPUTE = ("Conv", "ConvTranspose")


def onnxruntime_static(source: Path, pictures: np.ndarray, target: Path, excluded: Sequence[str]) -> str:
    """quantize_static in the form that ONNX Runtime documents for TensorRT: Q/DQ, symmetric int8, weights by channel,
    biases left alone; ranges by MinMax. `pictures` uint8 [N, H, W, 3]. Gives the version."""
    import onnxruntime
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Pictures(CalibrationDataReader):
        def __init__(self) -> None:
            self._rest = iter(pictures)

        def get_next(self) -> dict[str, np.ndarray] | None:
            picture = next(self._rest, None)
            return None if picture is None else {"image": picture[None]}

    quantize_static(
        source,
        target,
        Pictures(),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        calibrate_method=CalibrationMethod.MinMax,
        op_types_to_quantize=[*COMPUTE, "MaxPool", "Concat", "Add"],
        nodes_to_exclude=list(excluded),
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )
    return str(onnxruntime.__version__)


def model_optimizer(
    python: Path, source: Path, pictures: np.ndarray, target: Path, method: str, excluded: Sequence[str]
) -> str:
    """Model Optimizer's `quantize` in another Python, on the CPU. Gives its version; raises RuntimeError with the last
    line of what it said."""
    images, copy = target.with_suffix(".npy"), target.with_suffix(".source.onnx")
    np.save(images, pictures)
    shutil.copyfile(source, copy)  # it writes into the file that it is given
    try:
        done = subprocess.run(
            [python, PROCESS, copy, images, target, method, ",".join(excluded)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
    finally:
        images.unlink()
        copy.unlink()
    lines = [line for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
    if done.returncode:
        raise RuntimeError(lines[-1] if lines else f"status {done.returncode}")
    return done.stdout.splitlines()[-1]
