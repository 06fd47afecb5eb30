"""Run the FP32 network over images and keep a histogram of each tensor that may be quantized: bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import ModelProto

from trtkit.calib.histogram import Histogram
from trtkit.errors import CheckFailed
from trtkit.export.edit import copy_of
from trtkit.runtime.cpu import CpuBackend


def collect(
    model: ModelProto, tensors: Sequence[str], batches: Iterable[Mapping[str, np.ndarray]]
) -> dict[str, Histogram]:
    """A histogram of every tensor of `tensors` over all `batches` (input arrays by name).

    Raises CheckFailed, naming the tensor, if a value is not finite, or if a tensor is 0 everywhere and so has no
    range to make a scale of.
    """
    histograms = {name: Histogram() for name in tensors}
    with CpuBackend(_showing(model, tensors)) as backend:
        for arrays in batches:
            outputs = backend.run(arrays)
            for name, histogram in histograms.items():
                try:
                    histogram.add(outputs.pop(name))
                except ValueError:
                    raise CheckFailed(
                        f"tensor '{name}' is not finite on a calibration image, so no scale can be made of it; "
                        "look at the weights"
                    ) from None
    for name, histogram in histograms.items():
        if histogram.peak == 0:
            raise CheckFailed(
                f"tensor '{name}' is 0 on every calibration image (a zero range), so it has no scale; "
                "calibrate with --images on photographs like those the network is for"
            )
    return histograms


def _showing(model: ModelProto, tensors: Sequence[str]) -> bytes:
    """The graph with `tensors` as outputs, serialized."""
    probe = onnx.shape_inference.infer_shapes(copy_of(model))
    known = {value.name: value for value in probe.graph.value_info}
    have = {value.name for value in probe.graph.output}
    probe.graph.output.extend(
        known.get(name, onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        for name in tensors
        if name not in have
    )
    content: bytes = probe.SerializeToString()
    return content
