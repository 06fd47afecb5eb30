"""Names the converter numbered as it went, numbered anew in the graph's order: the same graph gives the same bytes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from onnx import GraphProto, ModelProto

from trtkit.export.frozen.scope import subgraphs

_NUMBERED = re.compile(r"__\d+")


def number_names(model: ModelProto) -> None:
    """Every `__NUMBER` in the names of nodes and tensors becomes one that counts first appearances. In place."""
    known: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for graph in _graphs(model.graph):
        for node in graph.node:
            for name in (node.name, *node.input, *node.output):
                _learn(name, known, seen)
    for graph in _graphs(model.graph):
        for node in graph.node:
            node.name = known.get(node.name, node.name)
            node.input[:] = [known.get(name, name) for name in node.input]
            node.output[:] = [known.get(name, name) for name in node.output]
        for holder in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            holder.name = known.get(holder.name, holder.name)


def _learn(name: str, known: dict[str, str], seen: Counter[str]) -> None:
    """`Resize__88` and its output `Resize__88:0` keep one number."""
    stem, colon, output = name.partition(":")
    if not _NUMBERED.search(stem):
        return
    if stem not in known:
        plain = _NUMBERED.sub("", stem)
        seen[plain] += 1
        known[stem] = f"{plain}__{seen[plain]}"
    known[name] = known[stem] + colon + output


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from _graphs(inner)
