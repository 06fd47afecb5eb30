"""What a front is told at its start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trtkit.config import Profile
from trtkit.serve.fronts.model_recipe import Recipe
from trtkit.serve.fronts.network_info import NetworkInfo
from trtkit.serve.limits import Limits


@dataclass(frozen=True)
class Settings:
    """What the operator said of the server: `cors` are origins, `mode` as in `opening.bounded`."""

    limits: Limits
    keys: Sequence[str]
    cors: Sequence[str]
    access_log: bool
    mode: str | None


@dataclass(frozen=True)
class Start:
    """`fronts` are as many as there are; which of them it is, each is told beside this. `secret` is for the page's
    sessions. `networks`: of each model, its networks by name, with the hub's number of each."""

    fronts: int
    settings: Settings
    secret: bytes
    models: Mapping[str, Recipe]
    networks: Mapping[str, Mapping[str, tuple[int, NetworkInfo]]]
    bounds: Mapping[str, Mapping[str, Sequence[Profile]]]

    @property
    def network_count(self) -> int:
        return sum(len(networks) for networks in self.networks.values())
