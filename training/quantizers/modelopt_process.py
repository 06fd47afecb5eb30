"""NVIDIA Model Optimizer's quantizer as a script of its own: its pins want an environment of its own.

    python modelopt_process.py FP32.onnx IMAGES.npy OUT.onnx max|entropy NODE,…

IMAGES.npy holds the calibration pictures as the network takes them, uint8 [N, H, W, 3], fed one at a time; the NODEs
are left out. OUT.onnx takes one picture of H × W: with sizes left open, the symbolic shape inference that Model
Optimizer 0.47.0 begins with had not ended on the matting network after twelve minutes on a busy machine. All else is
its default. It imports nothing of trtkit.
"""

from __future__ import annotations

import sys

import modelopt
import numpy as np
import onnx
from modelopt.onnx.quantization import quantize


def main(source: str, images: str, target: str, method: str, excluded: str) -> None:
    pictures = np.load(images)
    name = onnx.load(source).graph.input[0].name
    shape = "x".join(str(size) for size in (1, *pictures.shape[1:]))
    quantize(
        source,
        quantize_mode="int8",
        calibration_data={name: pictures},
        calibration_method=method,
        calibration_shapes=f"{name}:{shape}",
        override_shapes=f"{name}:{shape}",
        calibration_eps=["cpu"],
        nodes_to_exclude=[f"^{node}$" for node in excluded.split(",") if node],
        output_path=target,
        log_level="WARNING",
    )
    print(modelopt.__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
