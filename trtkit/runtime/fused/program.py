"""A fused network on one device: what it needs there, made once, and its steps bound to addresses and shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto

from trtkit.config import Profile
from trtkit.errors import CheckFailed
from trtkit.runtime.cuda_api import Cuda, Function, Stream
from trtkit.runtime.fused.convolutions import Convolutions, Shape
from trtkit.runtime.fused.memory import offsets
from trtkit.runtime.fused.network import Unfused, read
from trtkit.runtime.fused.schedule import Buffer, ConvolutionStep, KernelStep, schedule
from trtkit.runtime.fused.source import PREAMBLE, Constant, Height, Kernel, Number, Pointer, Width, kernels_of
from trtkit.runtime.fused.values import Size
from trtkit.runtime.shapes import Shapes, profile_of, text

THREADS = 256
"""Of a block."""

Compile = Callable[[str], bytes]
"""CUDA C → what Cuda.module loads."""


class FusedProgram:
    """Raises Unfused if the network is none, OutOfMemory, and what `compile_source` and `open_convolutions` raise.

    `arena` are the bytes of device memory that its buffers will share; it is right for one run at a time.
    """

    def __init__(
        self,
        model: ModelProto,
        profiles: Sequence[Profile],
        cuda: Cuda,
        stream: Stream,
        compile_source: Compile,
        open_convolutions: Callable[[Sequence[ConvolutionStep]], Convolutions],
    ) -> None:
        self._cuda, self._stream = cuda, stream
        self._profiles = list(profiles)
        self._schedule = schedule(read(model))
        (self._input,) = self._schedule.inputs
        self._kernels = {step: kernels_of(step) for step in self._schedule.steps if isinstance(step, KernelStep)}
        self._layouts: list[dict[Buffer, int]] = []
        self.arena = 0
        for profile in self._profiles:
            for shape in (profile[self._input].min, profile[self._input].opt, profile[self._input].max):
                if (fault := self._fault(self._sizes(shape)[1])) is not None:
                    raise Unfused(fault)
            layout, taken = offsets(self._schedule, *self._sizes(profile[self._input].max))
            self._layouts.append(layout)
            self.arena = max(self.arena, taken)
        bodies = dict.fromkeys(kernel.body for kernels in self._kernels.values() for kernel in kernels)
        names = {body: f"kernel{number}" for number, body in enumerate(bodies)}
        self._owned: list[int] = []
        self._constants: dict[int, int] = {}
        self._memory = 0
        self._convolutions: Convolutions | None = None
        self._functions: dict[str, Function] = {}
        self._module: Any = cuda.module(compile_source(program_text(names)))
        try:
            self._functions = {body: cuda.function(self._module, name) for body, name in names.items()}
            self._convolutions = open_convolutions(self._schedule.convolutions)
            self._upload_constants()
        except BaseException:
            self.free()
            raise

    def reserve(self) -> None:
        """Take the arena. Raises OutOfMemory."""
        self._memory = self._own(max(self.arena, 1))

    def bind(self, addresses: Mapping[str, int], shapes: Shapes) -> list[Callable[[], None]]:
        """What queues each step of a run on the inputs and outputs at `addresses`, in this order. `shapes` are those of
        both. Raises CheckFailed where an output is stated to be of another shape than it is."""
        assert self._convolutions is not None
        batch, size = self._sizes(shapes[self._input])
        if (fault := self._fault(size)) is not None:
            raise CheckFailed(fault)
        self._check_outputs(shapes, batch, size)
        layout = self._layouts[profile_of(self._profiles, {self._input: shapes[self._input]})]
        given = {**self._schedule.inputs, **self._schedule.outputs}
        at = {buffer: self._memory + offset for buffer, offset in layout.items()}
        at |= {buffer: addresses[name] for name, buffer in given.items()}
        bound = []
        for step in self._schedule.steps:
            if isinstance(step, ConvolutionStep):
                source, target = (_shape(buffer, batch, size) for buffer in (step.source, step.target))
                bound.append(self._convolutions.bind(step, at[step.source], source, at[step.target], target))
            else:
                bound.append(self._launch(step, at, batch, size))
        return bound

    def free(self) -> None:
        """In the owner thread; modules would otherwise end with the last reference to them, wherever that goes."""
        while self._owned:
            self._cuda.free(self._owned.pop())
        if self._convolutions is not None:
            self._convolutions.close()
        self._functions.clear()
        self._cuda.unload(self._module)
        self._module = None

    def _check_outputs(self, shapes: Shapes, batch: int, size: Size) -> None:
        for name, buffer in self._schedule.outputs.items():
            height, width = buffer.size(size)
            made = (batch, buffer.channels, height, width) if buffer.planar else (batch, height, width, buffer.channels)
            if shapes[name] != made:
                raise CheckFailed(f"output '{name}' is {text(made)} where the ONNX file states {text(shapes[name])}")

    def _fault(self, size: Size) -> str | None:
        """What is wrong with inputs of `size`: tensors of different sizes meet, of which ONNX would spread one over the
        other, or a window is larger than what it goes over."""
        where = f"for inputs of {size[0]}x{size[1]}"
        for step in self._schedule.steps:
            for buffer in step.writes:
                if min(buffer.size(size)) < 1:
                    return f"nothing is left of '{buffer.name}' {where}"
        for step, kernels in self._kernels.items():
            for kernel in kernels:
                if _is_right(kernel, size) and any(one.at(size) != other.at(size) for one, other in kernel.alike):
                    return f"'{step.values[-1].name}' is made of tensors of different sizes {where}"
        return None

    def _sizes(self, shape: Sequence[int]) -> tuple[int, Size]:
        """The batch, and height and width, of an input's shape."""
        rows = 2 if self._schedule.inputs[self._input].planar else 1
        return shape[0], (shape[rows], shape[rows + 1])

    def _launch(self, step: KernelStep, at: Mapping[Buffer, int], batch: int, size: Size) -> Callable[[], None]:
        kernel = next(one for one in self._kernels[step] if _is_right(one, size))
        height, width = kernel.pixels.at(size)
        arguments = [self._argument(one, at, size) for one in kernel.arguments]
        rows, columns = (
            side // piece + 1 if kernel.more else -(-side // piece)
            for side, piece in zip((height, width), kernel.piece, strict=True)
        )
        grid = (-(-columns * kernel.groups // THREADS), rows, batch)
        function: Function = self._functions[kernel.body]
        return lambda: self._cuda.launch(function, grid, (THREADS, 1, 1), arguments, self._stream)

    def _argument(self, argument: Any, at: Mapping[Buffer, int], size: Size) -> int | np.uintp:
        """Integers for ints, np.uintp for addresses."""
        if isinstance(argument, Pointer):
            place = argument.place
            return np.uintp(at[place.buffer] + place.first * int(place.buffer.dtype.itemsize))
        if isinstance(argument, Constant):
            return np.uintp(self._constants[id(argument.content)])
        if isinstance(argument, Number):
            return argument.value
        assert isinstance(argument, Height | Width)
        height, width = argument.extent.at(size)
        return height if isinstance(argument, Height) else width

    def _own(self, size: int) -> int:
        self._owned.append(self._cuda.alloc(size))
        return self._owned[-1]

    def _upload_constants(self) -> None:
        """All of them in one piece of device memory."""
        contents = {
            id(argument.content): argument.content
            for kernels in self._kernels.values()
            for kernel in kernels
            for argument in kernel.arguments
            if isinstance(argument, Constant)
        }
        packed, places = bytearray(), {}
        for key, content in contents.items():
            places[key] = len(packed)
            packed += content.tobytes() + bytes(-content.nbytes % 32)
        if not packed:
            return
        base = self._own(len(packed))
        self._constants = {key: base + offset for key, offset in places.items()}
        upload(self._cuda, self._stream, base, np.frombuffer(packed, np.uint8))


def program_text(names: Mapping[str, str]) -> str:
    """The CUDA C of the kernels whose bodies are `names`' keys."""
    return PREAMBLE + "".join(f'extern "C" __global__ void {name}{body}\n' for body, name in names.items())


def upload(cuda: Cuda, stream: Stream, address: int, content: np.ndarray) -> None:
    """`content` to device memory, waited for."""
    host = cuda.pinned(content.nbytes)
    done = cuda.event()
    try:
        host[:] = content.reshape(-1).view(np.uint8)
        cuda.copy_in(address, host, stream)
        cuda.record(done, stream)
        cuda.synchronize(done)
    finally:
        cuda.drop(done)
        cuda.free_pinned(host)


def _shape(buffer: Buffer, batch: int, size: Size) -> Shape:
    height, width = buffer.size(size)
    return batch, height, width, buffer.channels


def _is_right(kernel: Kernel, size: Size) -> bool:
    if kernel.doubles is None:
        return True
    before, after = kernel.doubles.source.extent.at(size), kernel.pixels.at(size)
    return after == (2 * before[0], 2 * before[1])
