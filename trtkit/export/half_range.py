"""Would FP16 survive? Asked on a machine that cannot say: ONNX Runtime's CPU provider computes FP16 in FP32.

So the FP32 graph runs on real photographs with every tensor of the FP16 region looked at (none may pass half of
65504), and once more with exactly those tensors rounded to half and back (the output may not move past the
tolerance). A collapse that only accumulating in half would show is left to a real GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper

from trtkit.export import parity
from trtkit.export.edit import copy_of, replace_nodes
from trtkit.export.half import HALF_MAX
from trtkit.runtime.cpu import CpuBackend

LIMIT = HALF_MAX / 2


@dataclass(frozen=True)
class Peak:
    """The largest magnitude of all that a form has in half precision, and the FP32 graph's tensor that reaches it."""

    tensor: str
    value: float

    @property
    def fits(self) -> bool:
        return self.value <= LIMIT


@dataclass(frozen=True)
class RangeReport:
    """Rounding every FP16 tensor moves the output by `mean_shift` on average."""

    peak: Peak
    mean_shift: float
    max_shift: float


def examine(
    fp32: ModelProto, half: ModelProto, batches: Iterable[Mapping[str, np.ndarray]], relative: bool = False
) -> RangeReport:
    """`half` is to_half(fp32, …); `batches` of the network's inputs: all are looked at for their range, the first for
    what rounding does to it. Shifts are in the output's own units, or `relative` to each output's largest magnitude.
    """
    arrays, *others = batches
    region = _half_tensors(half)
    peak = highest(fp32, half, [arrays, *others])
    with (
        CpuBackend(fp32.SerializeToString()) as exact,
        CpuBackend(_rounded(fp32, region, half), optimize=False) as rounded,
    ):
        wanted, found = exact.run(arrays), rounded.run(arrays)
    gaps = parity.gaps(wanted, found, relative)
    return RangeReport(
        peak,
        max(float(gap.mean()) for gap in gaps),
        max(float(gap.max()) for gap in gaps),
    )


def highest(fp32: ModelProto, half: ModelProto, batches: Iterable[Mapping[str, np.ndarray]]) -> Peak:
    """Of what `half`, a to_half(fp32, …), has in half precision; 0 where it has nothing."""
    peaks = _peaks(fp32, _half_tensors(half) | _cast_to_half(half), batches)
    tensor = max(peaks, key=lambda name: peaks[name], default="")
    return Peak(tensor, peaks.get(tensor, 0.0))


def _half_tensors(half: ModelProto) -> set[str]:
    """Names of the FP32 graph's tensors that the FP16 form computes in half."""
    inferred = onnx.shape_inference.infer_shapes(half)
    return {
        value.name for value in inferred.graph.value_info if value.type.tensor_type.elem_type == TensorProto.FLOAT16
    }


def _cast_to_half(half: ModelProto) -> set[str]:
    """Names of what an FP32 island hands over to half precision: it has to fit, too."""
    return {
        node.input[0]
        for node in half.graph.node
        if node.op_type == "Cast" and any(a.name == "to" and a.i == TensorProto.FLOAT16 for a in node.attribute)
    }


def nodes_around(fp32: ModelProto, tensor: str) -> list[str]:
    """Names of the node that makes `tensor` and of those that read it; the operator type of one that has no name."""
    around = [node for node in fp32.graph.node if tensor in node.output or tensor in node.input]
    return [node.name or node.op_type for node in around]


def _peaks(fp32: ModelProto, region: set[str], batches: Iterable[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Largest magnitude of each tensor of `region`, reduced inside the graph so that memory stays bounded."""
    probe = copy_of(fp32)
    produced = [name for node in fp32.graph.node for name in node.output if name in region]
    for name in produced:
        probe.graph.node.append(helper.make_node("Abs", [name], [f"{name}|"]))
        probe.graph.node.append(helper.make_node("ReduceMax", [f"{name}|"], [f"{name}|peak"], keepdims=0))
        probe.graph.output.append(helper.make_tensor_value_info(f"{name}|peak", TensorProto.FLOAT, []))
    peaks = dict.fromkeys(produced, 0.0)
    with CpuBackend(probe.SerializeToString()) as backend:
        for arrays in batches:
            outputs = backend.run(arrays)
            # NaN compares false with everything; it must not pass as small.
            found = {name: float(np.nan_to_num(outputs[f"{name}|peak"], nan=np.inf)) for name in produced}
            peaks = {name: max(peak, found[name]) for name, peak in peaks.items()}
    return peaks


def _rounded(fp32: ModelProto, region: set[str], half: ModelProto) -> bytes:
    """The FP32 graph with each tensor of `region`, and each weight that `half` holds in half, rounded to half and
    back."""
    model = copy_of(fp32)
    # A weight of an FP32 island stays as it is: an epsilon of 1e-10, say, which half precision does not hold.
    still_exact = {tensor.name for tensor in half.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        for i, name in enumerate(node.output):
            if name in region:
                node.output[i] = f"{name}|exact"
                nodes.append(helper.make_node("Cast", [f"{name}|exact"], [f"{name}|half"], to=TensorProto.FLOAT16))
                nodes.append(helper.make_node("Cast", [f"{name}|half"], [name], to=TensorProto.FLOAT))
    replace_nodes(model, nodes)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in still_exact:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    content: bytes = model.SerializeToString()
    return content
