"""A torch module → ONNX bytes: torch's own exporter, then names a person can read and nothing of the machine.

torch 2.13's exporter habits that this file answers: a batch of 1 in the example specialises the axis; weights go to a
side file unless told otherwise, which TensorRT's parser then looks for in the working directory; every node carries
a stack trace with the paths of the machine.
"""

from __future__ import annotations

import ast
import logging
import warnings
from collections import Counter
from typing import TYPE_CHECKING

import onnx
from onnx import ModelProto, NodeProto

from trtkit import __version__
from trtkit.models.spec import NetworkSpec, TensorSpec
from trtkit.optional import need

if TYPE_CHECKING:
    from torch import nn

OPSET = 20
"""Half-precision Q/DQ exists from 19; Q/DQ forms are capped at 20 by TensorRT's importer."""

_EXAMPLE_SIZES = {"N": 2, "H": 128, "W": 192}


def to_onnx(module: nn.Module, spec: NetworkSpec, model: str, weights_sha256: str) -> ModelProto:
    """Export `module`, whose inputs and outputs `spec` states, with its dynamic axes, weights embedded.

    Byte-identical from run to run for the same module, torch and onnx.
    """
    torch = need("torch", "export")
    need("onnxscript", "export")
    example = tuple(_example(torch, tensor) for tensor in spec.inputs)
    dynamic = tuple(dict.fromkeys(tensor.dynamic_axes, torch.export.Dim.DYNAMIC) for tensor in spec.inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The exporter reports its own progress through torchvision it does not find, once an export.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            external_data=False,
            dynamic_shapes=dynamic,
            input_names=[tensor.name for tensor in spec.inputs],
            output_names=[tensor.name for tensor in spec.outputs],
            opset_version=OPSET,
            verbose=False,
        )
    exported: ModelProto = program.model_proto
    _name_nodes(exported)
    _strip(exported)
    _name_axes(exported, spec)
    exported.producer_name, exported.producer_version = "trtkit", __version__
    onnx.helper.set_model_props(
        exported,
        {
            "model": model,
            "network": spec.name,
            "weights_sha256": weights_sha256,
            "exporter": f"torch.onnx {torch.__version__.partition('+')[0]}",
        },
    )
    return exported


def _example(torch, tensor: TensorSpec):  # type: ignore[no-untyped-def]
    shape = [_EXAMPLE_SIZES[axis] if isinstance(axis, str) else axis for axis in tensor.shape]
    return torch.zeros(shape, dtype=getattr(torch, tensor.dtype))


def _name_nodes(model: ModelProto) -> None:
    """Give every node the name MODULE/operator (``unet.encoder.0.0/conv``), numbered where it repeats."""
    seen: Counter[str] = Counter()
    for node in model.graph.node:
        scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "['', '']")
        module = ast.literal_eval(scopes)[-2]
        # Shape arithmetic belongs to no module; the exporter gives it a placeholder's name.
        stem = f"{'shape' if module.startswith('_empty') or not module else module}/{node.op_type.lower()}"
        seen[stem] += 1
        node.name = stem if seen[stem] == 1 else f"{stem}_{seen[stem]}"


def _strip(model: ModelProto) -> None:
    """Remove traces of the exporting machine: stack traces, doc strings, exporter metadata."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    holders: list[NodeProto | onnx.ValueInfoProto | onnx.TensorProto] = [
        *model.graph.node,
        *model.graph.input,
        *model.graph.output,
        *model.graph.value_info,
        *model.graph.initializer,
    ]
    for holder in holders:
        holder.ClearField("doc_string")  # an empty string is still written, and bytes must not depend on it
        del holder.metadata_props[:]


def _name_axes(model: ModelProto, spec: NetworkSpec) -> None:
    """Replace the exporter's symbols (s40, s62) by the axis names of the spec, at inputs and outputs."""
    stated = {tensor.name: tensor for tensor in (*spec.inputs, *spec.outputs)}
    del model.graph.value_info[:]  # symbolic shapes under the old names; anyone who needs them infers them
    for value in [*model.graph.input, *model.graph.output]:
        shape = value.type.tensor_type.shape
        for dim, axis in zip(shape.dim, stated[value.name].shape, strict=True):
            if isinstance(axis, str):
                dim.dim_param = axis
            else:
                dim.dim_value = axis
