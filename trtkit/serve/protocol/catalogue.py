"""What the protocol calls models: each network behind its batcher, and each pipeline that answers with one picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trtkit.config import Profile
from trtkit.errors import Mistake
from trtkit.models.spec import NetworkSpec
from trtkit.runtime.backend import IOTensors
from trtkit.serve.names import PIPELINE_INPUT, PIPELINE_OUTPUT, network_name
from trtkit.serve.network import Network
from trtkit.serve.protocol.datatypes import BYTES, OF_NUMPY
from trtkit.serve.refusal import Refused
from trtkit.serve.service import Served, Service

VERSION = "1"
"""The version of every model: a server is started anew to serve other files."""


@dataclass(frozen=True)
class Tensor:
    """`shape` has -1 for what a request decides."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """One model of the protocol: a network behind `batcher`, or the pipeline of `served` where that is None.

    `max_batch` is the largest first axis of a request, 0 where there is no batch axis.
    """

    name: str
    served: Served
    batcher: Network | None
    spec: NetworkSpec | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    max_batch: int
    bounds: Sequence[Profile] = ()
    """The shapes a network may be asked for; empty if any will do."""

    @property
    def platform(self) -> str:
        """What runs it: 'trtkit_cpu', 'trtkit_pipeline', …"""
        return f"trtkit_{self.batcher.name.replace('-', '_') if self.batcher else 'pipeline'}"

    @property
    def problem(self) -> str | None:
        """Why it cannot be used now, None if it can."""
        if self.batcher is None:
            return self.served.problem
        return f"network {self.batcher.title} {self.batcher.breaker.reason}" if self.batcher.breaker.open else None


def entries(service: Service) -> Iterator[Entry]:
    """Every model: pipelines, each followed by its networks."""
    for served in service.models.values():
        model = served.model
        if not model.several_files:
            most = max((network.max_batch for network in served.networks.values()), default=1)
            files = ((PIPELINE_INPUT,), (PIPELINE_OUTPUT,))
            inputs, outputs = (tuple(Tensor(name, BYTES, (-1, 1)) for name in names) for names in files)
            yield Entry(model.folder, served, None, None, inputs, outputs, most)
        for name, batcher in served.networks.items():
            batched = all(shape[:1] == (None,) for _, shape in (*batcher.inputs.values(), *batcher.outputs.values()))
            yield Entry(
                network_name(model.folder, name),
                served,
                batcher,
                model.network(name),
                _tensors(batcher.inputs),
                _tensors(batcher.outputs),
                batcher.max_batch if batched else 0,
                served.bounds.get(name, ()),
            )


def find(service: Service, name: str, version: str | None) -> Entry:
    """The model called `name`. Raises Refused (404) in Triton's words."""
    shown = "".join(c if c.isprintable() else "?" for c in name[:80])
    for entry in entries(service):
        if entry.name == name:
            if version in (None, "", VERSION):
                return entry
            raise Refused(404, f"Request for unknown model: '{shown}' version {str(version)[:20]} is not found")
    raise Refused(404, f"Request for unknown model: '{shown}' is not found")


def check(entry: Entry, sent: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """Compare the inputs of a request, name → (datatype, shape), with what the model takes.

    A shape that the network cannot compute is the client's mistake and found here: in the run it would count as a
    failure of the network. Raises Mistake, naming the input and what would be right.
    """
    known = {tensor.name: tensor for tensor in entry.inputs}
    for name in sent:
        if name not in known:
            raise Mistake(f"unexpected inference input '{name}' for model '{entry.name}'; it takes {', '.join(known)}")
    for name, tensor in known.items():
        if name not in sent:
            raise Mistake(f"input '{name}' is missing; model '{entry.name}' takes {', '.join(known)}")
        datatype, shape = sent[name]
        if datatype != tensor.datatype:
            raise Mistake(
                f"inference input '{name}' data-type is '{datatype[:20]}', but model '{entry.name}' expects "
                f"'{tensor.datatype}'"
            )
        _check_shape(entry, tensor, shape)
    if entry.spec is not None:
        _check_sizes(entry, entry.spec, {name: shape for name, (_, shape) in sent.items()})


def _check_shape(entry: Entry, tensor: Tensor, shape: tuple[int, ...]) -> None:
    fits = len(shape) == len(tensor.shape) and all(
        wanted in (-1, found) for wanted, found in zip(tensor.shape, shape, strict=True)
    )
    if not fits or 0 in shape:
        raise Mistake(
            f"unexpected shape for input '{tensor.name}' for model '{entry.name}': expected {list(tensor.shape)} with "
            f"nothing empty, got {list(shape[:8])}"
        )
    if entry.max_batch and shape[0] > entry.max_batch:
        raise Mistake(f"inference request batch-size must be <= {entry.max_batch} for '{entry.name}', got {shape[0]}")


def _check_sizes(entry: Entry, spec: NetworkSpec, shapes: Mapping[str, tuple[int, ...]]) -> None:
    for tensor in spec.inputs:
        for axis, name in tensor.dynamic_axes.items():
            size = shapes[tensor.name][axis]
            if name != "N" and (size < spec.smallest or size % spec.multiple_of):
                steps = f" and a multiple of {spec.multiple_of}" if spec.multiple_of > 1 else ""
                raise Mistake(
                    f"axis {name} of input '{tensor.name}' is {size}; model '{entry.name}' needs at least "
                    f"{spec.smallest}{steps}"
                )
    if entry.bounds and not any(
        all(ranges.admits(shapes[name]) for name, ranges in profile.items() if name in shapes)
        for profile in entry.bounds
    ):
        ranges = "; or ".join(
            ", ".join(f"{name} {one.min} to {one.max}" for name, one in profile.items()) for profile in entry.bounds
        )
        found = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise Mistake(f"model '{entry.name}' takes {ranges}; got {found}")


def _tensors(tensors: IOTensors) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name, OF_NUMPY[np.dtype(dtype).name], tuple(-1 if axis is None else axis for axis in shape))
        for name, (dtype, shape) in tensors.items()
    )


def described(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
