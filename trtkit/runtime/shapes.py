"""Shapes: which ranges a network accepts, what they cost in bytes, and what comes out for what goes in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from trtkit.config import Profile
from trtkit.errors import CheckFailed, Mistake
from trtkit.runtime.backend import IOTensors

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
"""Tensor name → its size on each axis."""
SymbolicShapes = dict[str, tuple[int | str, ...]]
"""Tensor name → each axis as a fixed size or the name of a dynamic axis: ('N', 'H', 'W', 3)."""


def text(shape: Sequence[object]) -> str:
    """(8, 512, 512, 3) → '8x512x512x3'"""
    return "x".join(map(str, shape))


def profile_of(profiles: Sequence[Profile], shapes: Mapping[str, Shape]) -> int:
    """Number of the first profile that admits `shapes`; raises Mistake naming input, shape and the allowed ranges."""
    for number, profile in enumerate(profiles):
        if all(shape_range.admits(shapes[name]) for name, shape_range in profile.items()):
            return number
    name = next(
        (n for n in shapes if not any(p[n].admits(shapes[n]) for p in profiles if n in p)),
        next(iter(shapes)),
    )
    ranges = " or ".join(
        f"{text(p[name].min)} to {text(p[name].max)}" if p[name].min != p[name].max else text(p[name].min)
        for p in profiles
    )
    raise Mistake(
        f"input '{name}' of shape {text(shapes[name])} is outside every profile; allowed: {ranges} "
        "(profiles in engines.yaml set this when the engine is built or the network is loaded)"
    )


def largest_shapes(profiles: Sequence[Profile]) -> list[Shapes]:
    """The maximum of each profile."""
    return [{name: tuple(shape_range.max) for name, shape_range in profile.items()} for profile in profiles]


def resolve(symbolic: SymbolicShapes, outputs: SymbolicShapes, shapes: Mapping[str, Shape], what: str) -> Shapes:
    """Shapes of `outputs` for input `shapes`, by the names of the dynamic axes they share.

    Raises Mistake if two inputs disagree on an axis, CheckFailed naming `what` if an output's axis has a name that no
    input has (its size would depend on the data).
    """
    sizes: dict[str, int] = {}
    for name, axes in symbolic.items():
        for axis, size in zip(axes, shapes[name], strict=True):
            if isinstance(axis, str) and sizes.setdefault(axis, size) != size:
                raise Mistake(f"input '{name}' has {axis} = {size}, another input has {axis} = {sizes[axis]}")
    found: Shapes = {}
    for name, axes in outputs.items():
        for axis in axes:
            if isinstance(axis, str) and axis not in sizes:
                raise CheckFailed(
                    f"{what}: the size of output '{name}' along '{axis}' follows from no input, so no buffer can be "
                    "made for it in advance; export it again"
                )
        found[name] = tuple(sizes[axis] if isinstance(axis, str) else axis for axis in axes)
    return found


def byte_size(dtype: np.dtype, shape: Shape) -> int:
    return int(dtype.itemsize) * math.prod(shape)


def input_profiles(inputs: IOTensors, profiles: Sequence[Profile], what: str) -> list[Profile]:
    """`profiles` with a range for every input, or the one that fixed shapes imply.

    Raises Mistake if dynamic inputs come without a profile, or a profile is not one of these inputs.
    """
    from trtkit.build_engines.profiles import check_profile
    from trtkit.config import ShapeRange

    shapes = {name: tuple(-1 if size is None else size for size in shape) for name, (_, shape) in inputs.items()}
    fixed: Profile = {}
    for name, shape in shapes.items():
        if -1 not in shape:
            fixed[name] = ShapeRange(min=list(shape), opt=list(shape), max=list(shape))
        elif not profiles:
            raise Mistake(f"{what}: input '{name}' has dynamic axes and engines.yaml states no profile for it")
    for number, ranges in enumerate(profiles):
        check_profile(shapes, ranges, number, what)
    return [{name: (fixed | ranges)[name] for name in inputs} for ranges in profiles] or [fixed]
