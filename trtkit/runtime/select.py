"""Which backend runs a network here, and from which file: chosen, and said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trtkit import artifacts, manifest
from trtkit.errors import Mistake
from trtkit.manifest import Manifest
from trtkit.models.spec import Model, NetworkSpec
from trtkit.runtime.backend import Backend


@dataclass(frozen=True)
class Loaded:
    """A network ready to run. `where` and `weights` are for people: what runs where, from what."""

    backend: Backend
    manifest: Manifest
    path: Path
    where: str
    weights: str


def load(model: Model, spec: NetworkSpec, root: Path, backend: str = "auto") -> Loaded:
    """Open `spec` on `backend`; its file is judged by its manifest before it is loaded.

    The file is the exported ONNX under `root` if there is one, else the embedded one.
    """
    from trtkit.runtime.cpu import CpuBackend

    exported = artifacts.onnx_path(root, model.name, spec.name, "fp32")
    path = exported if exported.is_file() else model.embedded_dir / exported.name
    record = manifest.read_verified(path)
    if (record.model, record.network) != (model.name, spec.name):
        raise Mistake(f"{path} is {record.model}/{record.network}, not {model.name}/{spec.name}; export it again")
    runner = CpuBackend(path)
    made_of = record.made_of.weights
    weights = f"{made_of.kind} weights {made_of.sha256[:8]}" + (f" ({made_of.note})" if made_of.note else "")
    return Loaded(runner, record, path, f"{runner.name}: {runner.device}", weights)
