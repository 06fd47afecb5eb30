"""What is to be opened where: the question every backend answers with a refusal or an open network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trtkit.config import Config, Precision
from trtkit.manifest import Manifest
from trtkit.models.spec import Model, NetworkSpec
from trtkit.runtime.backend import Backend


@dataclass(frozen=True)
class Request:
    """`ordinal` counts GPUs in CUDA's order; `precision`, if given, is the only one that will do."""

    model: Model
    spec: NetworkSpec
    root: Path
    ordinal: int
    slots: int
    config: Config
    precision: Precision | None = None


@dataclass(frozen=True)
class Opened:
    """A network that runs, and the artifact it came from. `why`: for people, what spoke for it among several."""

    backend: Backend
    manifest: Manifest
    path: Path
    why: str = ""
