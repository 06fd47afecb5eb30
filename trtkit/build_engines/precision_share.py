"""How much of a network really runs in the precision that was asked for.

TensorRT 11 and RTX dropped the FP16 and INT8 builder flags: whoever guards them with hasattr gets an FP32
engine without a word (roboflow/rf-detr#1453: 0.00 % Half, 26.26 ms instead of 5.75 ms). Hence a count, and a
refusal.
"""

from __future__ import annotations

import json
import re
from typing import Any

from trtkit.build_engines.builder import Source
from trtkit.errors import CheckFailed
from trtkit.manifest import PrecisionShare

MIN_HALF_SHARE = 0.9
"""Of the compute layers of an fp16 engine that are not kept in FP32 on purpose."""

MIN_INT8_SHARE = 0.8
"""Of the compute layers of an int8 engine that are not kept in FP16 on purpose; the first and last always are."""

_ENGINE_COMPUTE = re.compile(r"conv|gemm|matrix_?multiply|matmul|correlation", re.IGNORECASE)
_ENGINE_TACTIC = re.compile(r"gemm|fprop|dgrad|convolution|deconv", re.IGNORECASE)
_HALF = re.compile(r"\bhalf\b|\bfp16\b", re.IGNORECASE)
_INT8 = re.compile(r"\bint8\b", re.IGNORECASE)


def share_of_network(trt: Any, network: Any) -> PrecisionShare:
    """Count the parsed network's convolutions, deconvolutions and matrix products; needs no GPU.

    Int8: data and weights both come from a DequantizeLinear of int8 (the layer itself then reads FLOAT or HALF).
    Half: any other one whose output type is HALF.
    """
    compute = {trt.LayerType.CONVOLUTION, trt.LayerType.DECONVOLUTION, trt.LayerType.MATRIX_MULTIPLY}
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    producer = {layer.get_output(index).name: layer for layer in layers for index in range(layer.num_outputs)}
    half = int8 = total = 0
    for layer in layers:
        if layer.type not in compute:
            continue
        total += 1
        if layer.num_inputs >= 2 and all(_dequantized(trt, producer, layer.get_input(i)) for i in (0, 1)):
            int8 += 1
        elif layer.get_output(0).dtype == trt.DataType.HALF:
            half += 1
    return PrecisionShare(compute_layers=total, half=half, int8=int8, source="network")


def _dequantized(trt: Any, producer: dict[str, Any], tensor: Any) -> bool:
    """True if `tensor` is a dequantized int8 one, as it is or reshaped (the parser broadcasts matrices so)."""
    layer = producer.get(tensor.name) if tensor is not None else None
    while layer is not None and layer.type == trt.LayerType.SHUFFLE:
        layer = producer.get(layer.get_input(0).name)
    return (
        layer is not None and layer.type == trt.LayerType.DEQUANTIZE and layer.get_input(0).dtype == trt.DataType.INT8
    )


def share_of_engine(inspector_json: str) -> PrecisionShare | None:
    """Count the compute layers of a built engine from IEngineInspector's JSON (profiling verbosity DETAILED).

    A layer counts by the type of its data input. None if the engine shows no compute layer of its own, as one
    fused whole does. Raises CheckFailed if the text is not an engine's description.
    """
    try:
        described = json.loads(inspector_json)
    except ValueError as error:
        raise CheckFailed(
            f"the engine inspector's answer is not JSON ({error}); its layers cannot be counted"
        ) from error
    # TensorRT 11 renamed 'Bindings' to 'I/O Tensors'; either tells a description from an error object.
    if not isinstance(described, dict) or not ({"Bindings", "I/O Tensors"} & described.keys()):
        raise CheckFailed(
            "the engine inspector's answer has neither 'Bindings' nor 'I/O Tensors': not an engine's layers"
        )
    # With less than DETAILED verbosity a layer is a bare name.
    entries = [entry for entry in described.get("Layers", []) if isinstance(entry, dict) and _computes(entry)]
    int8 = sum(bool(_INT8.search(_data_type(entry))) for entry in entries)
    half = sum(bool(_HALF.search(_data_type(entry))) for entry in entries)
    return PrecisionShare(compute_layers=len(entries), half=half, int8=int8, source="engine") if entries else None


def _computes(entry: dict[str, Any]) -> bool:
    kind = str(entry.get("LayerType", ""))
    # Myelin calls a fused product 'fusion'; only its kernel's name tells.
    return bool(_ENGINE_COMPUTE.search(kind) or _ENGINE_TACTIC.search(str(entry.get("TacticName", ""))))


def _data_type(entry: dict[str, Any]) -> str:
    inputs = entry.get("Inputs") or [{}]
    return str(inputs[0].get("Format/Datatype", ""))


def enforce(share: PrecisionShare, source: Source) -> None:
    """Raise CheckFailed, with the figures and the file, if `share` does not meet the request.

    So many of the layers that are not kept in a higher precision on purpose (--keep-fp16, engines.yaml) have to be in
    the one that was asked for.
    """
    precision, what = source.precision, source.what
    wanted = {"fp16": ("Half", share.half, MIN_HALF_SHARE), "int8": ("Int8", share.int8, MIN_INT8_SHARE)}
    if precision not in wanted:
        return
    kind, count, needed = wanted[precision]
    total = share.compute_layers
    if total == 0:
        raise CheckFailed(f"{what} has no convolution or matrix product, so nothing shows that it is {precision}")
    asked = max(1, total - source.kept)
    if count < needed * asked:
        beside = f" beside the {source.kept} that are kept from it on purpose" if source.kept else ""
        raise CheckFailed(
            f"{what}: {count} of {total} compute layers ({count / total:.1%}) are {kind}, counted in the "
            f"{share.source}; {precision} needs at least {needed:.0%}{beside}; {source.mending}"
        )
