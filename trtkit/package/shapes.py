"""Which batch and which profile of an engine each Triton model of a network stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trtkit.config import Profile
from trtkit.models.spec import NetworkSpec


@dataclass(frozen=True)
class Share:
    """One Triton model of a network: `name`, the number of the engine's optimization profile it runs, that profile,
    and the largest batch; `max_batch` 0 says that the network has no batch axis."""

    name: str
    number: int
    profile: Profile
    max_batch: int


def batchable(spec: NetworkSpec) -> bool:
    return all(tensor.shape[:1] == ("N",) for tensor in (*spec.inputs, *spec.outputs))


def shares(name: str, spec: NetworkSpec, profiles: Sequence[Profile], largest: int) -> tuple[Share, ...]:
    """A Triton model for each profile: the first is the one with the largest batch and has the network's own name.
    `largest` bounds them all.

    Triton knows one largest batch a model and refuses to load a plan whose profile holds fewer, so profiles of
    different batches cannot share a model.
    """
    by_batch = sorted(range(len(profiles)), key=lambda number: -_most(profiles[number]))
    return tuple(
        Share(
            name if place == 0 else f"{name}_profile{number}",
            number,
            profiles[number],
            min(largest, _most(profiles[number])) if batchable(spec) else 0,
        )
        for place, number in enumerate(by_batch)
    )


def _most(profile: Profile) -> int:
    return min(ranges.max[0] for ranges in profile.values())
