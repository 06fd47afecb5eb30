"""Two ONNX edits that protobuf makes easy to get wrong."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import ModelProto, NodeProto


def copy_of(model: ModelProto) -> ModelProto:
    twin = ModelProto()
    twin.CopyFrom(model)
    return twin


def replace_nodes(model: ModelProto, nodes: Iterable[NodeProto]) -> None:
    """Make `nodes` the graph's nodes. They may be its present ones: copied first, since deleting frees them."""
    kept = []
    for node in nodes:
        twin = NodeProto()
        twin.CopyFrom(node)
        kept.append(twin)
    del model.graph.node[:]
    model.graph.node.extend(kept)
