"""The CUDA C of a kernel step: each thread makes some channels of one pixel of everything the step makes.

Numbers are float32 on the way, whatever they are in memory, so a chain of operators is rounded once, at its end. The
text names its arguments by their order alone: steps that do the same to other tensors share one kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trtkit.runtime.fused.schedule import KernelStep, Place
from trtkit.runtime.fused.values import (
    Convolution,
    Extent,
    MaxPooled,
    Mean,
    Pointwise,
    Resized,
    Value,
)

PREAMBLE = (Path(__file__).parent / "preamble.cuh").read_text(encoding="utf-8")
"""What the kernels call. No header is needed, since NVRTC comes without any."""

_STRIP = 4
"""Rows of a thread that averages: it reads 18 pixels for 4 in place of 36, with 6 sums a mean in registers."""
_DOUBLED = {"asymmetric": (0, (0.0, 0.5)), "half_pixel": (1, (0.25, 0.75)), "pytorch_half_pixel": (1, (0.25, 0.75))}
"""Mode → at twice the size: rows and columns before the first whole pair of them, and the later source's shares."""
_TYPES = {"uint8": "byte_t", "float16": "half_t", "float32": "float"}
_FUNCTIONS = {
    "Add": "{0} + {1}",
    "Sub": "{0} - {1}",
    "Mul": "{0} * {1}",
    "Div": "{0} / {1}",
    "Max": "fmaxf({0}, {1})",
    "Min": "fminf({0}, {1})",
    "Relu": "fmaxf({0}, 0.f)",
    "LeakyRelu": "{0} < 0.f ? {p0} * {0} : {0}",
    "Sigmoid": "1.f / (1.f + expf(-{0}))",
    "Tanh": "tanhf({0})",
    "Clip": "fminf(fmaxf({0}, {p0}), {p1})",
    "Cast": "{0}",
}
"""ONNX operator → its C, of operands {0}, {1} and attributes {p0}, {p1}."""


_CENTRES = "({here} + 0.5f) * ((float){before} / {after}) - 0.5f"
_PLACES = {
    "asymmetric": "{here} * ((float){before} / {after})",
    "half_pixel": _CENTRES,
    "pytorch_half_pixel": f"{{after}} > 1 ? {_CENTRES} : 0.f",
    "align_corners": "{after} > 1 ? {here} * ((float)({before} - 1) / ({after} - 1)) : 0.f",
}
"""ONNX's coordinate_transformation_mode → where a row or column of the result lies in the source."""


@dataclass(frozen=True)
class Pointer:
    """The address of a place in memory."""

    place: Place


@dataclass(frozen=True, eq=False)
class Constant:
    """The address of float32 [C]."""

    content: np.ndarray


@dataclass(frozen=True)
class Height:
    extent: Extent


@dataclass(frozen=True)
class Width:
    extent: Extent


@dataclass(frozen=True)
class Number:
    value: int


Argument = Pointer | Constant | Height | Width | Number


@dataclass(frozen=True)
class Kernel:
    """`body` follows `extern "C" __global__ void NAME`. Its grid is [columns x channels, rows, N].

    `pixels`: the extent it goes over, in pieces of so many rows and columns, `more` of them than fit (0 or 1), with
    `groups` threads for the channels of one.
    """

    body: str
    arguments: tuple[Argument, ...]
    pixels: Extent
    groups: int
    piece: tuple[int, int] = (1, 1)
    more: int = 0
    doubles: Resized | None = None
    """It is right only where this value is just twice as high and wide as its source."""
    alike: tuple[tuple[Extent, Extent], ...] = ()
    """Extents that follow from different things and must come to the same."""


def kernels_of(step: KernelStep) -> list[Kernel]:
    """The best first; the last one is always right."""
    found = [_Writer(step).plain()]
    reached = _reached(step)
    resized = [value for value in reached if isinstance(value, Resized)]
    alone = len(resized) == 1 and step.pooled is None and not any(isinstance(value, Mean) for value in reached)
    if alone and resized[0].mode in _DOUBLED:
        found.insert(0, _Writer(step).doubling(resized[0]))
    return found


@dataclass
class _Scope:
    """Where the text stands: the pixel's row and column by name, and which values are at hand as which arrays."""

    extent: Extent
    y: str
    x: str
    known: dict[Value, str] = field(default_factory=dict)


class _Writer:
    def __init__(self, step: KernelStep) -> None:
        self._step, self._lanes = step, step.lanes
        self._first_lines: list[str] = []
        self._lines: list[str] = []
        self._constants: dict[int, str] = {}
        self._depth = 1
        self._arguments: dict[object, tuple[str, str, Argument]] = {}
        self._names = 0
        self._written = {place for places in step.stored.values() for place in places}
        self._alike: list[tuple[Extent, Extent]] = []
        self._pixels = step.values[0].extent
        self._groups = step.values[0].channels // self._lanes

    def plain(self) -> Kernel:
        """A thread a pixel; with maxima on the way one for 2x2 of them, with means one for some in a column."""
        if self._step.pooled is not None:
            return self._pooling()
        means = [value for value in _reached(self._step) if isinstance(value, Mean)]
        if means:
            return self._averaging(means)
        self._begin(self._width(self._pixels), "y", "x")
        self._make_all(_Scope(self._pixels, "y", "x"))
        return self._kernel()

    def _pooling(self) -> Kernel:
        source, pooled = self._step.values[-1], self._step.pooled
        assert pooled is not None
        height, width = self._height(self._pixels), self._width(self._pixels)
        rows, columns = self._height(pooled.extent), self._width(pooled.extent)
        self._begin(f"({width} + 1) / 2", "row", "column")
        greatest = self._array("-3.402823466e38f")
        with self._loop("int corner = 0; corner < 4; ++corner"):
            self._line("const int y = 2 * row + corner / 2, x = 2 * column + corner % 2;")
            self._line(f"if (y >= {height} || x >= {width}) continue;")
            scope = _Scope(self._pixels, "y", "x")
            self._make_all(scope)
            self._each(f"{greatest}[i] = fmaxf({greatest}[i], {scope.known[source]}[i]);")
        with self._block(f"if (row < {rows} && column < {columns})"):
            for place in self._step.stored[pooled]:
                self._store(place, pooled, greatest, pooled.extent, "row", "column")
        return self._kernel(piece=(2, 2))

    def _averaging(self, means: list[Mean]) -> Kernel:
        """Sums of three pixels side by side, each of which serves the means of three rows."""
        height, width = self._height(self._pixels), self._width(self._pixels)
        self._begin(width, "strip", "x")
        sums = {mean: self._array(rows=_STRIP + 2) for mean in means}
        with self._loop(f"int row = 0; row < {_STRIP + 2}; ++row"):
            for name in sums.values():
                self._each(f"{name}[row][i] = 0.f;")
            self._line(f"const int here = {_STRIP} * strip + row - 1;")
            self._line(f"if (here < 0 || here >= {height}) continue;")
            with self._loop("int right = -1; right < 2; ++right"):
                self._line("const int there = x + right;")
                self._line(f"if (there < 0 || there >= {width}) continue;")
                around = _Scope(self._pixels, "here", "there")
                for mean, name in sums.items():
                    array = self._value(mean.source, around)
                    self._each(f"{name}[row][i] += {array}[i];")
        self._line(f"const int columns = min(x + 1, {width} - 1) - max(x - 1, 0) + 1;")
        with self._loop(f"int row = 0; row < {_STRIP}; ++row"):
            self._line(f"const int y = {_STRIP} * strip + row;")
            self._line(f"if (y >= {height}) continue;")
            self._line(f"const float share = 1.f / (columns * (min(y + 1, {height} - 1) - max(y - 1, 0) + 1));")
            known: dict[Value, str] = {}
            for mean, name in sums.items():
                known[mean] = self._array()
                self._each(f"{known[mean]}[i] = ({name}[row][i] + {name}[row + 1][i] + {name}[row + 2][i]) * share;")
            self._make_all(_Scope(self._pixels, "y", "x", known))
        return self._kernel(piece=(_STRIP, 1))

    def doubling(self, resized: Resized) -> Kernel:
        """A thread for 2x2 pixels that lie between the same 2x2 of what is doubled: each of those is read once.

        With half-pixel centres the pieces begin one row above and one column left of the picture.
        """
        source = resized.source
        offset, shares = _DOUBLED[resized.mode]
        height, width = self._height(self._pixels), self._width(self._pixels)
        below, beside = self._height(source.extent), self._width(source.extent)
        self._begin(f"{beside} + {offset}", "row", "column")
        first = "row - 1" if offset else "row"
        self._line(f"const int rows[2] = {{max({first}, 0), min({first} + 1, {below} - 1)}};")
        first = "column - 1" if offset else "column"
        self._line(f"const int columns[2] = {{max({first}, 0), min({first} + 1, {beside} - 1)}};")
        taps = []
        for tap in range(4):
            scope = _Scope(source.extent, f"rows[{tap // 2}]", f"columns[{tap % 2}]")
            taps.append(self._value(source, scope))
        for corner in range(4):
            down, right = shares[corner // 2], shares[corner % 2]
            with self._block():
                self._line(f"const int y = 2 * row + {corner // 2 - offset}, x = 2 * column + {corner % 2 - offset};")
                with self._block(f"if (y >= 0 && y < {height} && x >= 0 && x < {width})"):
                    weights = [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]
                    terms = " + ".join(
                        f"{_float(weight)} * {tap}[i]" for weight, tap in zip(weights, taps, strict=True) if weight
                    )
                    mixed = self._array()
                    self._each(f"{mixed}[i] = {terms};")
                    self._make_all(_Scope(self._pixels, "y", "x", {resized: mixed}))
        return self._kernel(piece=(2, 2), more=offset, doubles=resized)

    # --- values

    def _make_all(self, scope: _Scope) -> None:
        """Compute and store every value of the step, at the scope's pixel."""
        for value in self._step.values:
            array = self._value(value, scope)
            for place in self._step.stored.get(value, ()):
                self._store(place, value, array, scope.extent, scope.y, scope.x)

    def _value(self, value: Value, scope: _Scope) -> str:
        """The array that holds `value` at the scope's pixel."""
        if value not in scope.known:
            self._expect_alike(value.extent, scope.extent)
            if value in self._step.loads:
                scope.known[value] = self._load(value, scope)
            elif isinstance(value, Pointwise):
                scope.known[value] = self._pointwise(value, scope)
            elif isinstance(value, Resized):
                scope.known[value] = self._resized(value, scope)
            elif isinstance(value, MaxPooled):
                scope.known[value] = self._max_pooled(value, scope)
            else:
                raise AssertionError(f"{value.name} lies nowhere")
        return scope.known[value]

    def _expect_alike(self, one: Extent, other: Extent) -> None:
        if one != other and (one, other) not in self._alike:
            self._alike.append((one, other))

    def _load(self, value: Value, scope: _Scope) -> str:
        place = self._step.loads[value]
        array = self._array()
        block = value.block if isinstance(value, Convolution) else 1
        at = self._at(place, value, block, scope.extent, scope.y, scope.x)
        self._line(f"load{self._lanes}({at}, {array});")
        return array

    def _store(self, place: Place, value: Value, array: str, extent: Extent, y: str, x: str) -> None:
        at = self._at(place, value, 1, extent, y, x)
        self._line(f"store{self._lanes}({at}, {array});")
        if place.buffer.spare:
            with self._block(f"if (c == {value.channels - 1})"):
                self._line("const float nothing = 0.f;")
                for number in range(place.buffer.spare):
                    self._line(f"store1({at} + {number + 1}, &nothing);")

    def _at(self, place: Place, value: Value, block: int, extent: Extent, y: str, x: str) -> str:
        """The address of the thread's channels of `value` at a pixel of `extent`."""
        self._expect_alike(place.buffer.extent, extent)
        height, width = self._height(extent), self._width(extent)
        kind = f"{_TYPES[place.buffer.dtype.name]}* __restrict__"
        pointer = self._argument(Pointer(place), kind if place in self._written else f"const {kind}", "p")
        stride = self._argument(Number(place.buffer.channels), "int", "s", key=("stride", place))
        if place.buffer.planar:
            return f"{pointer} + (((long long)n * {stride} + c) * {height} + {y}) * {width} + {x}"
        channel = "c"
        if block > 1:
            channel = f"({y} % {block} * {block} + {x} % {block}) * {value.channels} + c"
            height, width = (f"(({side} + {block - 1}) / {block})" for side in (height, width))
            y, x = f"({y}) / {block}", f"({x}) / {block}"
        return f"{pointer} + (((long long)n * {height} + {y}) * {width} + {x}) * {stride} + {channel}"

    def _pointwise(self, value: Pointwise, scope: _Scope) -> str:
        operands = []
        for one in value.operands:
            if isinstance(one, Value):
                operands.append(f"{self._value(one, scope)}[i]")
            elif isinstance(one, np.ndarray):
                operands.append(f"{self._constant(one)}[i]")
            else:
                operands.append(_float(one))
        function = value.function
        if function == "Div" and isinstance(value.operands[1], float):
            # A product takes a tenth of what a quotient takes, and is the same to within a rounding of float32.
            function, operands[1] = "Mul", _float(1 / value.operands[1])
        parameters = {f"p{number}": _float(one) for number, one in enumerate(value.parameters)}
        array = self._array()
        self._each(f"{array}[i] = {_FUNCTIONS[function].format(*operands, **parameters)};")
        return array

    def _constant(self, content: np.ndarray) -> str:
        """The array that holds the thread's channels of a constant; read once, since it is the same at every pixel."""
        key = id(content)
        if key not in self._constants:
            pointer = self._argument(Constant(content), "const float* __restrict__", "k", key=key)
            array = self._name("k")
            self._constants[key] = array
            self._first_lines += [f"  float {array}[{self._lanes}];", f"  load{self._lanes}({pointer} + c, {array});"]
        return self._constants[key]

    def _resized(self, value: Resized, scope: _Scope) -> str:
        source = value.source
        array = self._array("0.f")
        ends = {}
        for axis, here, after, before in (
            ("y", scope.y, self._height(scope.extent), self._height(source.extent)),
            ("x", scope.x, self._width(scope.extent), self._width(source.extent)),
        ):
            low, high, share = (self._name(f"{axis}{kind}") for kind in ("low", "high", "share"))
            place = _PLACES[value.mode].format(here=here, before=before, after=after)
            self._line(f"float {share} = fminf(fmaxf({place}, 0.f), {before} - 1.f);")
            self._line(f"const int {low} = (int){share}, {high} = min({low} + 1, {before} - 1);")
            self._line(f"{share} -= {low};")
            ends[axis] = ((low, f"(1.f - {share})"), (high, share))
        for y, down in ends["y"]:
            for x, right in ends["x"]:
                with self._block():
                    tap = self._value(source, _Scope(source.extent, y, x))
                    self._each(f"{array}[i] += {down} * {right} * {tap}[i];")
        return array

    def _max_pooled(self, value: MaxPooled, scope: _Scope) -> str:
        array = self._array("-3.402823466e38f")
        for down in range(2):
            for right in range(2):
                with self._block():
                    y, x = self._name("y"), self._name("x")
                    self._line(f"const int {y} = 2 * ({scope.y}) + {down}, {x} = 2 * ({scope.x}) + {right};")
                    tap = self._value(value.source, _Scope(value.source.extent, y, x))
                    self._each(f"{array}[i] = fmaxf({array}[i], {tap}[i]);")
        return array

    # --- text

    def _begin(self, columns: str, y: str, x: str) -> None:
        groups = self._argument(Number(self._groups), "int", "g", key="groups")
        self._first_lines += [
            "  const int at = blockIdx.x * blockDim.x + threadIdx.x;",
            f"  if (at >= ({columns}) * {groups}) return;",
            f"  const int {x} = at / {groups}, c = (at - {x} * {groups}) * {self._lanes};",
            f"  const int {y} = blockIdx.y, n = blockIdx.z;",
        ]

    def _kernel(self, piece: tuple[int, int] = (1, 1), more: int = 0, doubles: Resized | None = None) -> Kernel:
        declared = ", ".join(f"{kind} {name}" for name, kind, _ in self._arguments.values())
        body = "\n".join([f"({declared}) {{", *self._first_lines, *self._lines, "}"])
        arguments = tuple(argument for _, _, argument in self._arguments.values())
        return Kernel(body, arguments, self._pixels, self._groups, piece, more, doubles, tuple(self._alike))

    def _argument(self, argument: Argument, kind: str, stem: str, key: object = None) -> str:
        """The name of an argument; the same one for the same `key` (the argument itself, if none is given)."""
        key = argument if key is None else key
        if key not in self._arguments:
            self._arguments[key] = (f"{stem}{len(self._arguments)}", kind, argument)
        return self._arguments[key][0]

    def _height(self, extent: Extent) -> str:
        return self._argument(Height(extent), "int", "h")

    def _width(self, extent: Extent) -> str:
        return self._argument(Width(extent), "int", "w")

    def _name(self, stem: str) -> str:
        self._names += 1
        return f"{stem}_{self._names}"

    def _array(self, filled: str = "", rows: int = 0) -> str:
        name = self._name("v")
        self._line(f"float {name}{f'[{rows}]' if rows else ''}[{self._lanes}];")
        if filled:
            self._each(f"{name}[i] = {filled};")
        return name

    def _each(self, statement: str) -> None:
        self._line("#pragma unroll")
        self._line(f"for (int i = 0; i < {self._lanes}; ++i) {statement}")

    def _line(self, text: str) -> None:
        self._lines.append(text if text.startswith("#") else "  " * self._depth + text)

    @contextmanager
    def _block(self, head: str = "") -> Iterator[None]:
        self._line(f"{head} {{".lstrip())
        self._depth += 1
        yield
        self._depth -= 1
        self._line("}")

    @contextmanager
    def _loop(self, head: str) -> Iterator[None]:
        self._line("#pragma unroll")
        with self._block(f"for ({head})"):
            yield


def _reached(step: KernelStep) -> list[Value]:
    """Everything that is computed on the way to the step's values, each once."""
    found: dict[Value, None] = {}

    def visit(value: Value) -> None:
        if value in step.loads or value in found:
            return
        for source in value.sources:
            visit(source)
        found[value] = None

    for value in step.values:
        visit(value)
    return list(found)


def _float(value: float) -> str:
    """A float32 literal, exact; infinity as the largest."""
    largest = float(np.finfo(np.float32).max)
    text = f"{float(np.float32(min(max(value, -largest), largest))):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.f"
