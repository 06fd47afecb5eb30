"""The same function with ranges that quantize better: cross-layer equalization.

Nagel et al., "Data-Free Quantization through Weight Equalization and Bias Correction" (ICCV 2019), section 4.1: what
lies between two convolutions (ReLU, pooling, a linear resize, a concatenation) lets a positive factor of a channel
pass. So each channel of a convolution is divided by s, and the weights that read it are multiplied by s, with
s = sqrt(r1 / r2): r1 the largest weight that makes the channel, r2 the largest that reads it. Channels then use the
tensor's one scale alike, and the network computes what it did.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from trtkit.export.edit import copy_of

ROUNDS = 3
"""Passes over the network: a factor changes what the layers before and behind it see."""

MOST = 16.0
"""A channel is not made larger or smaller by more, all rounds together: half precision has a range."""

_HOMOGENEOUS = ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "Resize")
"""f(s·x) = s·f(x) for s > 0, channel by channel."""

Weights = dict[str, NDArray[np.float32]]


def equalize(model: ModelProto) -> ModelProto:
    """A copy of the FP32 `model` that computes the same with equalized weights; node and tensor names stay."""
    weights: Weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    links = _links(model, weights)
    moved: dict[str, NDArray[np.float32]] = {}
    for _ in range(ROUNDS):
        for node, readers in links:
            _balance(node, readers, weights, moved)
    made = copy_of(model)
    touched = {
        name for node, readers in links for name in (*node.input[1:3], *(reader.input[1] for reader, _ in readers))
    }
    for tensor in made.graph.initializer:
        if tensor.name in touched:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name].astype(np.float32), tensor.name))
    return made


Link = tuple[NodeProto, list[tuple[NodeProto, int]]]
"""A convolution, and those that read its channels, each with the position of the first of them in its input."""


def _links(model: ModelProto, weights: Weights) -> list[Link]:
    """Convolutions whose channels reach nothing but convolutions, through homogeneous operators."""
    uses = Counter(name for node in model.graph.node for name in node.input)
    plain = {
        node.name
        for node in model.graph.node
        if node.op_type == "Conv"
        and node.input[1] in weights
        and weights[node.input[1]].ndim == 4
        and uses[node.input[1]] == 1
        and (len(node.input) < 3 or uses[node.input[2]] == 1)
        and not any(attribute.name == "group" and attribute.i != 1 for attribute in node.attribute)
    }
    readers: dict[str, list[tuple[NodeProto, int]]] = defaultdict(list)
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            readers[name].append((node, position))
    ends = {output.name for output in model.graph.output}
    channels = _channels(model, weights)
    links = []
    for node in model.graph.node:
        if node.name in plain:
            reached = _reached(node.output[0], readers, ends, channels, plain)
            if reached:
                links.append((node, reached))
    return links


def _channels(model: ModelProto, weights: Weights) -> dict[str, int]:
    """How many channels each tensor has that convolutions and homogeneous operators make, as far as they say."""
    found: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in weights:
            found[node.output[0]] = weights[node.input[1]].shape[0]
        elif node.op_type in _HOMOGENEOUS and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
        elif node.op_type == "Concat" and all(name in found for name in node.input):
            found[node.output[0]] = sum(found[name] for name in node.input)
    return found


def _reached(
    tensor: str,
    readers: dict[str, list[tuple[NodeProto, int]]],
    ends: set[str],
    channels: dict[str, int],
    plain: set[str],
) -> list[tuple[NodeProto, int]] | None:
    """The convolutions of `plain` that read `tensor`, or None if anything else does."""
    found: list[tuple[NodeProto, int]] = []
    pending = [(tensor, 0)]
    while pending:
        name, offset = pending.pop()
        if name in ends:
            return None
        for node, position in readers[name]:
            if node.op_type == "Shape":
                continue
            if node.name in plain and position == 0:
                found.append((node, offset))
            elif node.op_type in _HOMOGENEOUS and position == 0:
                pending.append((node.output[0], offset))
            elif node.op_type == "Concat" and _along_channels(node) and node.output[0] in channels:
                before = sum(channels[other] for other in node.input[:position])
                pending.append((node.output[0], offset + before))
            else:
                return None
    return found


def _along_channels(node: NodeProto) -> bool:
    return any(attribute.name == "axis" and attribute.i == 1 for attribute in node.attribute)


def _balance(
    node: NodeProto, readers: list[tuple[NodeProto, int]], weights: Weights, moved: dict[str, NDArray[np.float32]]
) -> None:
    """Move each channel's factor from `node` to `readers`, in place. `moved`: what the rounds before have moved."""
    kernel = weights[node.input[1]]
    count = kernel.shape[0]
    made = np.abs(kernel).reshape(count, -1).max(axis=1)
    read = np.max(
        [np.abs(weights[reader.input[1]][:, at : at + count]).max(axis=(0, 2, 3)) for reader, at in readers], axis=0
    )
    alive = (made > 0) & (read > 0)
    if not alive.any():
        return
    factor = np.ones(count, np.float32)
    factor[alive] = np.sqrt(made[alive] / read[alive])
    # Only the channels' proportions matter to the tensor's scale.
    factor[alive] /= np.exp(np.log(factor[alive]).mean())
    before = moved.get(node.name, np.ones(count, np.float32))
    moved[node.name] = np.clip(before * factor, 1 / MOST, MOST)
    factor = moved[node.name] / before
    weights[node.input[1]] = kernel / factor.reshape(-1, 1, 1, 1)
    if len(node.input) > 2:
        weights[node.input[2]] = weights[node.input[2]] / factor
    for reader, at in readers:
        changed = weights[reader.input[1]].copy()
        changed[:, at : at + count] *= factor.reshape(1, -1, 1, 1)
        weights[reader.input[1]] = changed
