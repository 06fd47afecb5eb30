"""What a front has to know of the hub's networks, and how they fare: plain values that go from process to process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from trtkit.config import Profile
from trtkit.runtime.backend import IOTensors
from trtkit.serve.counts import NetworkCounts
from trtkit.serve.network import Network

_COUNTED = [field.name for field in fields(NetworkCounts) if field.name != "lock"]


@dataclass(frozen=True)
class NetworkInfo:
    """What of a network never changes."""

    title: str
    name: str
    device: str
    inputs: IOTensors
    outputs: IOTensors
    profiles: Sequence[Profile]
    max_batch: int
    places: int


def info_of(network: Network, fronts: int) -> NetworkInfo:
    """For one of `fronts`. Each holds its share of the pictures that keep the network busy, and as many again, since
    the clients are never spread quite evenly."""
    share = -(-2 * network.places // fronts)
    return NetworkInfo(
        network.title,
        network.name,
        network.device,
        network.inputs,
        network.outputs,
        network.profiles,
        network.max_batch,
        min(network.places, share),
    )


@dataclass(frozen=True)
class BreakerSnapshot:
    """A breaker as it was."""

    open: bool = False
    reason: str = ""


@dataclass(frozen=True)
class NetworkState:
    """How a network fares: `counts` are NetworkCounts' fields."""

    depth: int
    open: bool
    reason: str
    counts: dict[str, Any]


def state_of(network: Network) -> dict[str, Any]:
    """A NetworkState as a plain dictionary."""
    with network.counts.lock:
        counts = {name: getattr(network.counts, name) for name in _COUNTED}
        counts["by_size"] = dict(network.counts.by_size)
    return asdict(NetworkState(network.depth, network.breaker.open, network.breaker.reason, counts))
