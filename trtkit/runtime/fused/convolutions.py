"""Every convolution of a network in one session of ONNX Runtime, each run by itself on addresses that are given.

A session takes 72 MiB of a GPU for its handles, so there is one for all of them: each convolution stands in an ONNX If
whose condition, an input that lies on the host, says whether it is to run. Side by side, not in each other: conditions
of inner Ifs would come by way of the GPU, and a captured graph would take the wrong branch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from trtkit.runtime.fused.schedule import ConvolutionStep

_OPSET, _IR_VERSION = 20, 10
_SOURCE = "source"
_FLAGS = (np.array(False), np.array(True))
"""Bound as inputs by their addresses, so they have to live."""

Shape = tuple[int, int, int, int]
"""N, H, W, C."""


class Convolutions:
    """`open_session` gives an InferenceSession of a serialized model; `run` runs a binding of it. `device` is ONNX
    Runtime's name of where addresses are, 'cuda' or 'cpu'."""

    def __init__(
        self,
        steps: Sequence[ConvolutionStep],
        open_session: Callable[[bytes], Any],
        run: Callable[[Any, Any], None],
        device: str,
        ordinal: int,
    ) -> None:
        self._session = open_session(model_of(steps).SerializeToString())
        self._run, self._device, self._ordinal = run, device, ordinal
        self._count = len(steps)

    def bind(
        self, step: ConvolutionStep, source: int, source_shape: Shape, target: int, target_shape: Shape
    ) -> Callable[[], None]:
        """What queues `step` from one address to another, both of float16."""
        binding = self._session.io_binding()
        binding.bind_input(_SOURCE, self._device, self._ordinal, np.float16, list(source_shape), source)
        for number in range(self._count):
            binding.bind_cpu_input(_condition(number), _FLAGS[number == step.number])
        binding.bind_output(_target(step.number), self._device, self._ordinal, np.float16, list(target_shape), target)
        return lambda: self._run(self._session, binding)

    def close(self) -> None:
        """The session ends with what was bound."""
        self._session = None


def model_of(steps: Sequence[ConvolutionStep]) -> ModelProto:
    """float16 `source` [N, H, W, C] → `target…` of the convolution whose condition is true; of others, nothing."""
    nodes, outputs = [], []
    conditions = [helper.make_tensor_value_info(_condition(step.number), TensorProto.BOOL, []) for step in steps]
    for step in steps:
        name = f"convolution{step.number}"
        nodes.append(
            helper.make_node(
                "If",
                [_condition(step.number)],
                [_target(step.number)],
                name,
                then_branch=_convolving(step, name),
                else_branch=_nothing(name),
            )
        )
        outputs.append(helper.make_tensor_value_info(_target(step.number), TensorProto.FLOAT16, None))
    source = helper.make_tensor_value_info(_SOURCE, TensorProto.FLOAT16, ["N", "H", "W", "C"])
    graph = helper.make_graph(nodes, "convolutions", [source, *conditions], outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


def _condition(number: int) -> str:
    return f"run{number}"


def _target(number: int) -> str:
    return f"target{number}"


def _convolving(step: ConvolutionStep, name: str) -> GraphProto:
    """Channels last in and out; the transpositions cancel out against those that ONNX Runtime sets for itself."""
    value = step.value
    weight = value.weight
    spare = step.source.spare
    if spare:
        weight = np.concatenate([weight, np.zeros((weight.shape[0], spare, *weight.shape[2:]), weight.dtype)], axis=1)
    nodes = [
        helper.make_node("Transpose", [_SOURCE], [f"{name}.source"], f"{name}/0", perm=[0, 3, 1, 2]),
        helper.make_node(
            "Conv",
            [f"{name}.source", f"{name}.weight"],
            [f"{name}.target"],
            f"{name}/1",
            kernel_shape=list(weight.shape[2:]),
            pads=list(value.pads),
            strides=list(value.strides),
            dilations=list(value.dilations),
            group=value.group,
        ),
        helper.make_node("Transpose", [f"{name}.target"], [f"{name}.last"], f"{name}/2", perm=[0, 2, 3, 1]),
    ]
    output = helper.make_tensor_value_info(f"{name}.last", TensorProto.FLOAT16, None)
    return helper.make_graph(nodes, name, [], [output], [numpy_helper.from_array(weight, f"{name}.weight")])


def _nothing(name: str) -> GraphProto:
    empty = numpy_helper.from_array(np.empty((0, 0, 0, 0), np.float16), f"{name}.nothing")
    output = helper.make_tensor_value_info(empty.name, TensorProto.FLOAT16, None)
    return helper.make_graph([], f"{name}.idle", [], [output], [empty])
