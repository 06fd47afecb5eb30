"""An imported graph as steps: host work, networks, crops and decisions, in the order in which they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class HostStep:
    """`name` is its ONNX file's; tensors keep the graph's names."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class NetworkStep:
    """`inputs` are the graph's tensors for the network's in1, in2, …; `outputs` what its out1, out2, … become."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class CropStep:
    """Boxes cut out of a picture: `inputs` are the picture, the boxes, whose they are, and the size (crop.py)."""

    name: str
    inputs: tuple[str, str, str, str]
    outputs: tuple[str]
    method: str
    fill: float


@dataclass(frozen=True)
class BranchStep:
    """A data-dependent decision: `condition` is a scalar bool; each output comes from the branch that was taken, under
    the name that it has there."""

    name: str
    condition: str
    then_steps: tuple[Step, ...]
    else_steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    then_outputs: tuple[str, ...]
    else_outputs: tuple[str, ...]


Step = HostStep | NetworkStep | CropStep | BranchStep

_KINDS: dict[str, type] = {"host": HostStep, "network": NetworkStep, "crop": CropStep, "branch": BranchStep}


def to_json(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    return [_one_to_json(step) for step in steps]


def _one_to_json(step: Step) -> dict[str, Any]:
    kind = next(name for name, cls in _KINDS.items() if isinstance(step, cls))
    values = {
        name: to_json(value) if name in ("then_steps", "else_steps") else value for name, value in vars(step).items()
    }
    return {"step": kind, **values}


def from_json(raw: list[dict[str, Any]]) -> tuple[Step, ...]:
    """Raises KeyError or TypeError for what `to_json` does not write."""
    steps = []
    for entry in raw:
        values = {
            name: from_json(value)
            if name in ("then_steps", "else_steps")
            else (tuple(value) if isinstance(value, list) else value)
            for name, value in entry.items()
            if name != "step"
        }
        steps.append(_KINDS[entry["step"]](**values))
    return tuple(steps)


def networks(steps: tuple[Step, ...]) -> list[NetworkStep]:
    """Every network of `steps`, those in branches too, in order."""
    found: list[NetworkStep] = []
    for step in steps:
        if isinstance(step, NetworkStep):
            found.append(step)
        elif isinstance(step, BranchStep):
            found += [*networks(step.then_steps), *networks(step.else_steps)]
    return found


def hosts(steps: tuple[Step, ...]) -> list[HostStep]:
    """Every stretch of host work, those in branches too, in order."""
    found: list[HostStep] = []
    for step in steps:
        if isinstance(step, HostStep):
            found.append(step)
        elif isinstance(step, BranchStep):
            found += [*hosts(step.then_steps), *hosts(step.else_steps)]
    return found
