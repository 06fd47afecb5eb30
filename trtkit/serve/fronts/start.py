"""What a front is told at its start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trtkit.config import Profile
from trtkit.serve.fronts.face import Face
from trtkit.serve.fronts.models import Recipe
from trtkit.serve.limits import Limits


@dataclass(frozen=True)
class Start:
    """`fronts` are as many as there are; which of them it is, each is told beside this. `networks`: of each model, its
    networks by name, with the hub's number of each."""

    fronts: int
    limits: Limits
    keys: Sequence[str]
    secret: bytes
    cors: Sequence[str]
    access_log: bool
    models: Mapping[str, Recipe]
    networks: Mapping[str, Mapping[str, tuple[int, Face]]]
    bounds: Mapping[str, Mapping[str, Sequence[Profile]]]

    @property
    def network_count(self) -> int:
        return sum(len(networks) for networks in self.networks.values())
