"""The ONNX form of a network that ONNX Runtime's CUDA provider is quicker with: biases apart from convolutions.

cuDNN adds a bias in a pass of its own, at half the speed of ONNX Runtime's Add and less. TensorRT needs none of this,
so the exported file stays as it is and the form is made when the network is loaded. Networks that are fused (fused/)
do not come here.
"""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from trtkit.export.edit import copy_of, replace_nodes
from trtkit.export.half import drop_unused_weights

UNDONE_BY = ("ConvAddFusion",)
"""ONNX Runtime's optimizers that must not run on the form: this one puts the biases back."""


def form_for(model: ModelProto) -> ModelProto | None:
    """The quicker form of `model`, which is kept; None where it would be the same, as in FP32."""
    made = copy_of(model)
    nodes: list[NodeProto] = []
    for node in list(made.graph.node):
        nodes += _bare(node, made.graph) or [node]
    if len(nodes) == len(made.graph.node):
        return None
    replace_nodes(made, nodes)
    drop_unused_weights(made)
    return made


def _bare(node: NodeProto, graph: GraphProto) -> list[NodeProto] | None:
    """A convolution in half precision and its bias; None of anything else."""
    if node.op_type != "Conv" or len(node.input) < 3:
        return None
    kernel, bias = (_value(graph, name) for name in node.input[1:])
    if kernel is None or bias is None or bias.dtype != np.float16:
        return None
    stem = f"{node.name or node.output[0]}.bare"
    bare = helper.make_node("Conv", node.input[:2], [stem], f"{stem}/0")
    bare.attribute.extend(node.attribute)
    wide = numpy_helper.from_array(bias.reshape(-1, *[1] * (kernel.ndim - 2)), f"{stem}.bias")
    graph.initializer.append(wide)
    return [bare, helper.make_node("Add", [stem, wide.name], list(node.output), f"{stem}/1")]


def _value(graph: GraphProto, name: str) -> np.ndarray | None:
    found = next((one for one in graph.initializer if one.name == name), None)
    return None if found is None else numpy_helper.to_array(found)
