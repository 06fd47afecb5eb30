"""What a builder is: something that turns an ONNX file into an engine for one compute capability.

Adding a builder is one file with these members and one line in select.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trtkit.config import Precision, Profile
from trtkit.manifest import MemoryPlan, PrecisionShare


class Progress(Protocol):
    """Called from the building thread with a phase's name and how many of its `total` steps are done."""

    def __call__(self, phase: str, done: int, total: int) -> None: ...


@dataclass(frozen=True)
class Source:
    """The typed ONNX, in bytes and not as a file, which another process may write anew while a builder starts.

    Errors call it `what`. `kept`: compute layers that are in a higher precision on purpose; `mending`: what makes it
    again, as mending.mending_command says it.
    """

    onnx: bytes
    what: str
    precision: Precision
    kept: int = 0
    mending: str = "make it again"


@dataclass(frozen=True)
class Built:
    """An engine that exists only in memory, and what its builder said about it.

    `flags` are the settings that were in effect, for the manifest; `memory_plan` is in bytes.
    """

    engine: bytes
    precision_share: PrecisionShare
    memory_plan: MemoryPlan
    flags: dict[str, Any]


class Builder(Protocol):
    """`name` is 'tensorrt-rtx' or 'tensorrt'. `flags` are the settings it asks for: a part of the build key."""

    name: str
    flags: dict[str, Any]

    def version(self) -> str:
        """The installed version, found without importing the library. Raises MissingComponent."""
        ...

    def refusal(self, capability: str) -> str | None:
        """One sentence why this builder cannot build for `capability` ('8.6') here, or None if it can."""
        ...

    def build(
        self,
        source: Source,
        capability: str,
        profiles: Sequence[Profile],
        progress: Progress | None = None,
    ) -> Built:
        """Build in memory; nothing of the engine is written.

        Raises Mistake for profiles that do not fit the network, CheckFailed when the file does not parse or
        build or is not in its precision, MissingComponent when the library is absent, and KeyboardInterrupt,
        after the build has stopped, on Ctrl-C.
        """
        ...
