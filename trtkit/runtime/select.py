"""Which backend runs a network here, and from which file: chosen, and said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from trtkit import config as configuration
from trtkit import manifest
from trtkit.artifacts import folder_of
from trtkit.config import Config, Precision
from trtkit.errors import CheckFailed, MissingComponent, Mistake
from trtkit.manifest import Manifest
from trtkit.models.spec import Model, NetworkSpec
from trtkit.runtime import cuda, machine, tensorrt, tensorrt_rtx
from trtkit.runtime.backend import Backend
from trtkit.runtime.cuda_api import DeviceLost
from trtkit.runtime.gpu import DEFAULT_SLOTS
from trtkit.runtime.request import Opened, Request

AUTO = "auto"
GPU_BACKENDS: dict[str, ModuleType] = {module.NAME: module for module in (tensorrt, tensorrt_rtx, cuda)}
"""Best first. Each has `unusable(ordinal)`, `refusal(request)` and `load(request)`."""
NAMES = (AUTO, *GPU_BACKENDS, "cpu")
"""The values of --backend."""


@dataclass(frozen=True)
class Loaded:
    """A network ready to run. `where`, `weights` and `why` are for people: what runs where, from what, and why there.

    `why` says, for 'auto', what kept each better backend from running, of `cuda` that FP32 need not be, and of engines
    in FP16 and INT8 that lie side by side why it is this one.
    """

    backend: Backend
    manifest: Manifest
    path: Path
    where: str
    weights: str
    why: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the backend has found out so far: a cold or warm cache, graphs that are off. May grow while it runs."""
        return tuple(getattr(self.backend, "notes", ()))


def load(
    model: Model,
    spec: NetworkSpec,
    root: Path,
    backend: str = AUTO,
    *,
    device: int = 0,
    slots: int = DEFAULT_SLOTS,
    config: Config | None = None,
    precision: Precision | None = None,
) -> Loaded:
    """Open `spec` on `backend`; its file is judged by its manifest before it is loaded.

    'auto' takes the best backend that really runs here: an engine for this GPU under `root`, else the ONNX file on
    the GPU, else on the CPU. A named backend that cannot run raises MissingComponent with the reason. `device` counts
    GPUs in CUDA's order; `slots` is how many requests a GPU backend holds at once; `precision`, if given, is the
    only one that will do.
    """
    if backend not in NAMES:
        raise Mistake(f"--backend {backend} is not known; choose one of: {', '.join(NAMES)}")
    if backend == "cpu":
        return _loaded(_on_cpu(model, spec, root, precision), model, spec, "")
    machine.check_ordinal(device)
    request = Request(model, spec, root, device, slots, config or configuration.load(), precision)
    if backend != AUTO:
        chosen = GPU_BACKENDS[backend]
        reason = chosen.refusal(request)
        if reason is not None:
            raise MissingComponent(
                f"--backend {backend} cannot run {model.name}/{spec.name} here: {reason}; "
                "trtkit doctor shows what this machine has"
            )
        return _on_gpu(chosen, request, [])
    reasons: list[str] = []
    for name, module in GPU_BACKENDS.items():
        reason = module.refusal(request)
        if reason is None:
            try:
                return _on_gpu(module, request, reasons)
            except DeviceLost:
                raise
            except (MissingComponent, CheckFailed) as error:  # it looked usable and was not: the next best is tried
                reason = str(error)
        reasons.append(f"not {name}: {reason}")
    return _loaded(_on_cpu(model, spec, root, precision), model, spec, _shortened(reasons))


def _on_cpu(model: Model, spec: NetworkSpec, root: Path, precision: Precision | None) -> Opened:
    from trtkit.runtime.cpu import CpuBackend

    request = Request(model, spec, root, 0, 1, Config.model_construct(models={}), precision)
    path = cuda.onnx_file(request, half=False)
    if path is None:
        if precision:
            raise Mistake(f"{root / model.folder} has no {precision} ONNX file of {spec.name}; export it first")
        path = model.embedded_onnx(spec.name)
    record = manifest.read_verified(path)
    return Opened(CpuBackend(path), record, path)


def _on_gpu(module: ModuleType, request: Request, reasons: list[str]) -> Loaded:
    """`reasons`: why no better backend is taken."""
    opened = module.load(request)
    reasons = [*reasons, opened.why] if opened.why else reasons
    if module is cuda and opened.manifest.precision == "fp32" and request.precision is None:
        mend = f"trtkit export {request.model.called} --precision fp16"
        reasons = [*reasons, f"in FP32, which takes a GPU longer than FP16 does ({mend})"]
    return _loaded(opened, request.model, request.spec, "; ".join(reasons))


def _loaded(opened: Opened, model: Model, spec: NetworkSpec, why: str) -> Loaded:
    record = opened.manifest
    if (record.model, record.style, record.network) != (model.name, model.style, spec.name):
        opened.backend.close()
        found = folder_of(record.model, record.style)
        raise Mistake(f"{opened.path} is {found}/{record.network}, not {model.folder}/{spec.name}; export it again")
    made_of = record.made_of.weights
    weights = f"{made_of.kind} weights {made_of.sha256[:8]}" + (f" ({made_of.note})" if made_of.note else "")
    where = f"{opened.backend.name}: {opened.backend.device}, {record.precision}"
    return Loaded(opened.backend, record, opened.path, where, weights, why)


def _shortened(reasons: list[str]) -> str:
    """One reason where all backends share it: no GPU, mostly."""
    plain = {reason.partition(": ")[2] for reason in reasons}
    return f"no GPU backend: {plain.pop()}" if len(plain) == 1 else "; ".join(reasons)
