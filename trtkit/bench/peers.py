"""What runs beside ours in `bench run`: opened and compared with ours, or left out with a note that says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trtkit import artifacts, manifest
from trtkit.bench.contenders import PLAIN, RECIPE, Arrays, Step, open_plain, open_recipe
from trtkit.bench.gpu_memory import UsedMemory
from trtkit.bench.torch_peers import open_torch
from trtkit.errors import MissingComponent, Mistake, TrtkitError
from trtkit.files import sha256
from trtkit.models.spec import Model, NetworkSpec
from trtkit.runtime.gpu import GpuBackend
from trtkit.runtime.select import Loaded

if TYPE_CHECKING:
    from trtkit.bench.run import Settings

TORCH = "PyTorch"
_MOST_LEVELS, _MOST_SHARE = 4.0, 0.05
"""How far the same network may be from ours in the mean, in grey levels, or as a share of the largest value where its
outputs are numbers. INT8 is off by up to 2.6 grey levels in a picture's mean, and by 105 in its worst pixel
(docs/benchmarks.md), so the worst pixel says nothing here."""


@dataclass
class Peers:
    """Each peer's step, the bytes on the GPU that it took when it was first run, and its worst difference from ours."""

    steps: dict[str, Step] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    agreement: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def check_weights(settings: Settings, model: Model, loaded: Loaded) -> None:
    """Raises Mistake where --weights names another network than ours: a ratio of the two would say nothing."""
    if settings.weights is None:
        return
    path = _checkpoint(settings, model)
    given, wanted = sha256(path), loaded.manifest.made_of.weights.sha256
    if given != wanted:
        raise Mistake(
            f"--weights {path} (sha256 {given[:8]}) is not what {loaded.path} was made of ({wanted[:8]}), and PyTorch "
            "has to compute the same network; name that checkpoint, or export this one first"
        )


def open_peers(
    settings: Settings, model: Model, loaded: Loaded, batches: Mapping[int, Arrays], memory: UsedMemory
) -> Peers:
    """Every peer that runs here and computes what ours does. `batches`: what is going to be measured."""
    if not settings.peers:
        return Peers()
    spec = model.networks[0]
    ordinal = settings.device if isinstance(loaded.backend, GpuBackend) else None
    opening = _Opening(spec, batches, _results(loaded, spec, batches), memory)

    def torch() -> dict[str, Step]:
        return open_torch(model, spec, _weights_of_ours(settings, model, loaded), ordinal, settings.compiled)

    opening.add(PLAIN, lambda: {PLAIN: open_plain(onnx_of(settings, model, loaded), ordinal)})
    if ordinal is not None:
        device = ordinal
        opening.add(
            RECIPE,
            lambda: {RECIPE: open_recipe(onnx_of(settings, model, loaded), device, spec, memory.context)},
        )
    opening.add(TORCH, torch, named=settings.weights is not None)
    return opening.found


def onnx_of(settings: Settings, model: Model, loaded: Loaded) -> Path:
    """The ONNX file that ours runs, or that our engine was built from. Raises TrtkitError where it is not there."""
    record = loaded.manifest
    if record.kind == "onnx":
        return loaded.path
    path = artifacts.onnx_path(settings.root, model.folder, record.network, record.precision)
    if not path.is_file():
        raise MissingComponent(f"{path}, which {loaded.path.name} was built from, is not there")
    if manifest.read_verified(path).came_out.sha256 != record.made_of.onnx_sha256:
        raise Mistake(f"{loaded.path.name} was built from another {path.name} than lies beside it; build it again")
    return path


def _checkpoint(settings: Settings, model: Model) -> Path:
    network = model.networks[0].name
    if settings.weights is None:
        return model.embedded_dir / f"{network}.safetensors"
    return model.find_weights(network, settings.weights) if settings.weights.is_dir() else settings.weights


def _weights_of_ours(settings: Settings, model: Model, loaded: Loaded) -> Path:
    """The checkpoint that ours was made of. Raises MissingComponent where it is not known which that is."""
    path = _checkpoint(settings, model)
    if settings.weights is not None:
        return path  # check_weights has compared them
    if not path.is_file() or sha256(path) != loaded.manifest.made_of.weights.sha256:
        raise MissingComponent(
            f"{loaded.path} was made of other weights than those in the package; name its checkpoint with --weights"
        )
    return path


def _results(loaded: Loaded, spec: NetworkSpec, batches: Mapping[int, Arrays]) -> dict[int, np.ndarray]:
    name = spec.outputs[0].name
    return {batch: loaded.backend.run(arrays)[name].astype(np.float64) for batch, arrays in batches.items()}


@dataclass
class _Opening:
    """`results`: what ours gives for each of `batches`."""

    spec: NetworkSpec
    batches: Mapping[int, Arrays]
    results: Mapping[int, np.ndarray]
    memory: UsedMemory
    found: Peers = field(default_factory=Peers)

    def add(self, called: str, opens: Callable[[], dict[str, Step]], named: bool = False) -> None:
        """Take what `opens` gives. `named`: the user asked for it, so his mistakes are told rather than noted."""
        try:
            steps = opens()
        except Exception as error:  # another's code, and the measurement goes on without it
            if named and isinstance(error, Mistake):
                raise
            self._leave_out(called, error)
            return
        for name, step in steps.items():
            self._take(name, step)

    def _take(self, name: str, step: Step) -> None:
        before = self.memory.used()
        try:
            worst, mean = self._differences(step)
        except Exception as error:  # another's code, and the measurement goes on without it
            self._leave_out(name, error)
            return
        if not mean <= (_MOST_SHARE if self.spec.relative else _MOST_LEVELS):
            self._leave_out(
                name, f"it is {mean:.3g} {self.spec.unit} from ours in the mean, so it computes another thing"
            )
            return
        self.found.steps[name] = step
        self.found.memory[name] = self.memory.used() - before
        self.found.agreement[name] = worst

    def _differences(self, step: Step) -> tuple[float, float]:
        """The worst difference from ours of all batches, and the greatest mean of one (a share where `relative`)."""
        worst = mean = 0.0
        for batch, arrays in self.batches.items():
            ours = self.results[batch]
            off = np.abs(step(arrays)[self.spec.outputs[0].name] - ours)
            worst = np.maximum(worst, off.max())  # unlike max() it hands on a NaN
            scale = np.abs(ours).max() if self.spec.relative else 1.0
            mean = np.maximum(mean, off.mean() / scale)
        return float(worst), float(mean)

    def _leave_out(self, name: str, why: Exception | str) -> None:
        words = " ".join(str(why).split()) or type(why).__name__
        ours = isinstance(why, str | TrtkitError)  # one sentence; what others raise may be a page
        self.found.notes.append(f"{name} is left out: {words if ours else words[:300]}")
