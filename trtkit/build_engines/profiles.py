"""Optimization profiles: engines.yaml's shapes, checked against the network before TensorRT sees them.

TensorRT's own words for a profile that does not fit come after the build has started and do not name the
input (NVIDIA/TensorRT#1947, pytorch/TensorRT#4610).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trtkit.config import Profile, ShapeRange
from trtkit.errors import Mistake


def add_profiles(builder: Any, config: Any, network: Any, profiles: Sequence[Profile], what: str) -> None:
    """Give every profile to the build configuration. Raises Mistake naming `what`, the profile and the input."""
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    shapes = {tensor.name: tuple(tensor.shape) for tensor in inputs}
    for number, ranges in enumerate(profiles):
        check_profile(shapes, ranges, number, what)
        profile = builder.create_optimization_profile()
        for name, shape in ranges.items():
            profile.set_shape(name, tuple(shape.min), tuple(shape.opt), tuple(shape.max))
        if config.add_optimization_profile(profile) < 0:
            raise Mistake(f"profiles.{number} is not one that {what} can be built with; correct its shapes")
    if not profiles and any(-1 in shape for shape in shapes.values()):
        raise Mistake(f"{what} has dynamic axes and no profile is given; add profiles for its inputs to engines.yaml")


def check_profile(shapes: dict[str, tuple[int, ...]], ranges: Profile, number: int, what: str) -> None:
    """Compare one profile with the network's input shapes (-1: dynamic). Raises Mistake."""
    for name, shape in shapes.items():
        if -1 in shape and name not in ranges:
            raise Mistake(
                f"profiles.{number} has no key '{name}', an input of {what} with dynamic axes {_text(shape)}; "
                "add its min, opt and max shapes"
            )
    for name, shape_range in ranges.items():
        if name not in shapes:
            raise Mistake(
                f"profiles.{number}.{name}: {what} has no input of that name; its inputs: {', '.join(shapes)}"
            )
        if not _fits(shapes[name], shape_range):
            raise Mistake(
                f"profiles.{number}.{name}: shapes {shape_range.min} to {shape_range.max} do not fit the input of "
                f"{what}, which is {_text(shapes[name])}; write as many axes, and the fixed sizes as they are"
            )


def _fits(shape: tuple[int, ...], ranges: ShapeRange) -> bool:
    return len(shape) == len(ranges.min) and all(
        size in (-1, low) and size in (-1, high) for size, low, high in zip(shape, ranges.min, ranges.max, strict=True)
    )


def _text(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join("?" if size == -1 else str(size) for size in shape) + "]"
