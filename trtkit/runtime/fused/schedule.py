"""Which values of a network lie in memory, and the steps that make them: convolutions, and kernels between them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from trtkit.runtime.fused.network import Unfused
from trtkit.runtime.fused.values import (
    STENCILS,
    Convolution,
    Extent,
    Input,
    Joined,
    MaxPooled,
    Mean,
    Network,
    Value,
)

LANES = 8
"""Channels that a thread of a kernel has, where all that it touches has a multiple of so many: 16 bytes of float16."""
_WIDER = {3: 4}
"""Channels of a convolution's source → those it gets, the last ones 0: with 4 cuDNN takes 0.55 to 0.77 of what it takes
with 3 (H200, 7x7 and 3x3), with 8 about as long as with 3."""


@dataclass(frozen=True, eq=False)
class Buffer:
    """Memory for [N, H, W, channels]. `block`: each of its pixels is a block of so many by so many (Convolution);
    `spare`: so many of its channels, the last ones, are 0; `planar`: it is a caller's [N, channels, H, W]."""

    name: str
    dtype: np.dtype
    channels: int
    extent: Extent
    block: int = 1
    spare: int = 0
    planar: bool = False

    def size(self, extent: tuple[int, int]) -> tuple[int, int]:
        """Its height and width, for those of the input."""
        height, width = self.extent.at(extent)
        return -(-height // self.block), -(-width // self.block)


@dataclass(frozen=True, eq=False)
class Place:
    """Where a value lies: in `buffer`, from channel `first` on."""

    buffer: Buffer
    first: int = 0


@dataclass(frozen=True, eq=False)
class ConvolutionStep:
    """`number` counts convolutions."""

    number: int
    value: Convolution
    source: Buffer
    target: Buffer

    @property
    def reads(self) -> tuple[Buffer, ...]:
        return (self.source,)

    @property
    def writes(self) -> tuple[Buffer, ...]:
        return (self.target,)


@dataclass(eq=False)
class KernelStep:
    """Values of one extent that a kernel makes of `loads`, one thread for each pixel and some of its channels.

    `pooled`: the maxima of the last of `values`, made on the way; each thread has 2x2 pixels then. `stored` says where
    to put each of them; a value that only others here need is stored nowhere.
    """

    values: list[Value]
    loads: dict[Value, Place]
    stored: dict[Value, list[Place]]
    pooled: MaxPooled | None = None

    @property
    def lanes(self) -> int:
        touched = [*self.loads.values(), *(place for places in self.stored.values() for place in places)]
        even = all(
            place.buffer.channels % LANES == 0 == place.first % LANES and not place.buffer.planar for place in touched
        )
        return LANES if even and all(value.channels % LANES == 0 for value in self.values) else 1

    @property
    def reads(self) -> tuple[Buffer, ...]:
        return tuple(place.buffer for place in self.loads.values())

    @property
    def writes(self) -> tuple[Buffer, ...]:
        return tuple(place.buffer for places in self.stored.values() for place in places)


Step = ConvolutionStep | KernelStep


@dataclass
class Schedule:
    """`inputs` and `outputs` are the callers' buffers by the tensors' names; all others are the network's own."""

    steps: list[Step]
    inputs: dict[str, Buffer]
    outputs: dict[str, Buffer]

    @property
    def convolutions(self) -> list[ConvolutionStep]:
        return [step for step in self.steps if isinstance(step, ConvolutionStep)]


def schedule(network: Network) -> Schedule:
    """Raises Unfused where a value would have to be in memory in a way that there is none for."""
    return _Scheduler(network).run()


@dataclass
class _Scheduler:
    network: Network
    places: dict[Value, list[Place]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    outputs: dict[str, Buffer] = field(default_factory=dict)

    def run(self) -> Schedule:
        for value in self.network.values:
            self._place(value)
        pooled: set[Value] = set()
        number = 0
        for value in self.network.values:
            if isinstance(value, Input | Joined) or value not in self.places or value in pooled:
                continue
            if isinstance(value, Convolution):
                target = self.places[value][0].buffer
                self.steps.append(ConvolutionStep(number, value, self.places[value.source][0].buffer, target))
                number += 1
                continue
            step = self._kernel(value)
            if step.pooled is not None:
                pooled.add(step.pooled)
            if not self._merged(step):
                self.steps.append(step)
        if number == 0:
            raise Unfused("no output comes from a convolution")
        inputs = {one.name: self.places[one][0].buffer for one in self.network.inputs}
        return Schedule(self.steps, inputs, self.outputs)

    def _place(self, value: Value) -> None:
        """Decide where `value` lies, if anywhere."""
        users = self.network.users[value]
        convolved = any(isinstance(user, Convolution) for user in users)
        if isinstance(value, Joined):
            self._place_joined(value)
            return
        if isinstance(value, Input | Convolution):
            self._lies(value, self._given(value))
            if convolved or value in self.network.outputs.values() or any(isinstance(user, Joined) for user in users):
                raise Unfused(f"'{value.name}' is used as it is, and not by way of a kernel")
            return
        if convolved:
            # What a convolution reads lies by itself, without holes; a part of a joined buffer would have some.
            whole = all(user.group == 1 for user in users if isinstance(user, Convolution))
            channels = _WIDER.get(value.channels, value.channels) if whole else value.channels
            spare = channels - value.channels
            self._lies(value, Place(Buffer(value.name, value.dtype, channels, value.extent, spare=spare)))
        elif self._is_dear(value, users):
            self._lies(value, self._alone(value))
        for name, output in self.network.outputs.items():
            if value is output:
                planar = name in self.network.planar
                buffer = Buffer(name, value.dtype, value.channels, value.extent, planar=planar)
                self._lies(value, Place(buffer))
                self.outputs[name] = buffer

    def _is_dear(self, value: Value, users: list[Value]) -> bool:
        """To be computed once, rather than for each pixel that is read of it: it reads several itself, or would be read
        nine times from a convolution whose pixels lie in blocks."""
        if any(isinstance(user, STENCILS) for user in users) and _reaches(value, STENCILS, self.places):
            return True
        return any(isinstance(user, Mean) for user in users) and any(
            isinstance(source, Convolution) and source.block > 1 for source in _inlined([value], self.places, set())
        )

    def _place_joined(self, value: Joined) -> None:
        users, outputs = self.network.users[value], self.network.outputs.values()
        if value in outputs or not all(isinstance(user, Convolution) for user in users):
            raise Unfused(f"'{value.name}' is joined for something else than a convolution")
        place = self._alone(value)
        self._lies(value, place)
        first = 0
        for part in value.parts:
            if isinstance(part, Joined):
                raise Unfused(f"'{part.name}' is joined for something else than a convolution")
            self._lies(part, Place(place.buffer, first))
            first += part.channels

    def _given(self, value: Input | Convolution) -> Place:
        if isinstance(value, Input):
            return Place(Buffer(value.name, value.dtype, value.channels, value.extent, planar=value.planar))
        channels = value.channels * value.block**2
        return Place(Buffer(value.name, value.dtype, channels, value.extent, value.block))

    def _alone(self, value: Value) -> Place:
        return Place(Buffer(value.name, value.dtype, value.channels, value.extent))

    def _lies(self, value: Value, place: Place) -> None:
        self.places.setdefault(value, []).append(place)

    def _kernel(self, value: Value) -> KernelStep:
        """What makes `value`, and its maxima where those lie in memory, too."""
        pools = [user for user in self.network.users[value] if isinstance(user, MaxPooled) and user in self.places]
        simple = len(pools) == 1 and not isinstance(value, STENCILS) and not _reaches(value, STENCILS, self.places)
        if isinstance(value, MaxPooled) and not isinstance(value.source, STENCILS) and value.source not in self.places:
            return self._step([value.source], value)
        return self._step([value], pools[0] if simple else None)

    def _step(self, values: list[Value], pooled: MaxPooled | None = None) -> KernelStep:
        stored = {value: self.places[value] for value in values if value in self.places}
        if pooled is not None:
            stored[pooled] = self.places[pooled]
        return KernelStep(values, self._loads(values), stored, pooled)

    def _loads(self, values: list[Value]) -> dict[Value, Place]:
        made = set(values)
        return {
            source: self.places[source][0]
            for source in _inlined(values, self.places, made)
            if source in self.places and source not in made
        }

    def _merged(self, step: KernelStep) -> bool:
        """Add what `step` makes to the step before, if that is a kernel over the same pixels."""
        last = self.steps[-1] if self.steps else None
        if not isinstance(last, KernelStep) or last.pooled is not None or step.pooled is not None:
            return False
        one, other = last.values[0], step.values[0]
        if (one.extent, one.channels) != (other.extent, other.channels) or last.lanes != step.lanes:
            return False
        if _read_around(step.values, set(last.values), self.places):
            return False
        last.values += step.values
        last.stored |= step.stored
        last.loads = self._loads(last.values)
        return True


def _inlined(values: Iterable[Value], stored: Container[Value], made: set[Value]) -> Iterator[Value]:
    """What a kernel reads or computes on the way to `values`, each once: down to what lies in memory, or is made by it,
    too."""
    seen: set[Value] = set()
    open_ends = list(values)
    while open_ends:
        for source in open_ends.pop().sources:
            if source not in seen:
                seen.add(source)
                yield source
                if source not in stored and source not in made:
                    open_ends.append(source)


def _reaches(value: Value, kinds: tuple[type, ...], stored: Container[Value]) -> bool:
    """Whether `value`, or what is computed on the way to it from what is `stored`, is one of `kinds`."""
    return isinstance(value, kinds) or any(
        isinstance(source, kinds) and source not in stored for source in _inlined([value], stored, set())
    )


def _read_around(values: Iterable[Value], made: set[Value], stored: Container[Value]) -> bool:
    """Whether `values` read one of `made` at another pixel than their own."""
    seen: set[tuple[Value, bool]] = set()
    open_ends = [(value, False) for value in values]
    while open_ends:
        value, around = open_ends.pop()
        around = around or isinstance(value, STENCILS)
        for source in value.sources:
            if source in made and around:
                return True
            if source not in made and source not in stored and (source, around) not in seen:
                seen.add((source, around))
                open_ends.append((source, around))
    return False
