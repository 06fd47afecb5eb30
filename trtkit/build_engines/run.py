"""One engine from ONNX to published file: verify, skip or lock, build, check, publish."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import trtkit
from trtkit import manifest as manifests
from trtkit.artifacts import engine_path, folder_of, sm
from trtkit.build_engines.build_key import build_key, plain_profiles, why_build
from trtkit.build_engines.builder import Builder, Built, Progress, Source
from trtkit.build_engines.lock import building
from trtkit.build_engines.precision_share import enforce
from trtkit.build_engines.select import AUTO, NoBuilder, choose
from trtkit.config import Config, NetworkConfig, Precision
from trtkit.errors import Mistake
from trtkit.manifest import KEPT, CameOut, MadeFor, MadeOf, MadeWith, Manifest
from trtkit.mending import mending_command

State = Literal["built", "up to date", "served by onnxruntime"]


@dataclass(frozen=True)
class Outcome:
    """What became of one request: the file that serves the GPU, and one sentence for people."""

    path: Path
    state: State
    manifest: Manifest | None
    sentence: str
    seconds: float


def build_engines(
    *,
    model: str,
    network: str,
    precision: Precision,
    gpu_names: Iterable[str],
    onnx: Path,
    config: Config,
    root: Path,
    builder: str = AUTO,
    force: bool = False,
    version_compatible: bool = False,
    progress: Progress | None = None,
) -> list[Outcome]:
    """One Outcome for each GPU; GPUs of one compute capability share one file, which is built once, also by force."""
    outcomes: list[Outcome] = []
    done: set[str] = set()
    for gpu_name in gpu_names:
        capability = config.gpu(gpu_name).compute_capability
        outcomes.append(
            build_engine(
                model=model,
                network=network,
                precision=precision,
                gpu_name=gpu_name,
                onnx=onnx,
                config=config,
                root=root,
                builder=builder,
                force=force and capability not in done,
                version_compatible=version_compatible,
                progress=progress,
            )
        )
        done.add(capability)
    return outcomes


def build_engine(
    *,
    model: str,
    network: str,
    precision: Precision,
    gpu_name: str,
    onnx: Path,
    config: Config,
    root: Path,
    builder: str = AUTO,
    force: bool = False,
    version_compatible: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Make the engine of `onnx` (in `precision`, with its manifest) for `gpu_name`, unless it is up to date.

    Raises Mistake for a GPU, builder, precision or profile that does not fit and while another process builds
    the same file; CheckFailed for a damaged ONNX file and for an engine that does not come out as asked;
    MissingComponent without the builder's library. KeyboardInterrupt passes once the build has stopped. In
    every such case nothing is written, and an older engine stays as it was.
    """
    started = time.monotonic()
    gpu = config.gpu(gpu_name)
    settings = config.network(model, network)
    source = manifests.read_verified(onnx)
    _check_source(source, onnx, model, network, precision)
    choice = choose(builder, gpu_name, gpu, root, version_compatible)
    if isinstance(choice, NoBuilder):
        return Outcome(onnx, "served by onnxruntime", source, choice.sentence, time.monotonic() - started)

    job = _Job(choice, gpu.compute_capability, precision, onnx, source, settings)
    target = engine_path(root, folder_of(model, source.style), network, precision, job.capability, job.builder.name)
    key = job.key()
    if not force and why_build(target, key) is None:
        return _up_to_date(target, started)
    with building(target):
        # Another process may have finished it between the look above and the lock.
        why = "--force" if force else why_build(target, key)
        if why is None:
            return _up_to_date(target, started)
        given = job.given()
        built = job.builder.build(given, job.capability, settings.profiles, progress)
        enforce(built.precision_share, given)
        made = job.manifest(built, key)
        manifests.publish(target, built.engine, made)
    seconds = time.monotonic() - started
    return Outcome(target, "built", made, _sentence(target, made, why, seconds), seconds)


@dataclass(frozen=True)
class _Job:
    builder: Builder
    capability: str
    precision: Precision
    onnx: Path
    source: Manifest
    settings: NetworkConfig

    def key(self) -> str:
        return build_key(
            onnx_sha256=self.source.came_out.sha256,
            builder=self.builder.name,
            version=self.builder.version(),
            capability=self.capability,
            profiles=self.settings.profiles,
            flags=self.builder.flags,
            precision=self.precision,
        )

    def given(self) -> Source:
        """What is built from: the very bytes that the engine's manifest will name. Raises CheckFailed."""
        content = manifests.content_of(self.onnx, self.source)
        kept = int(self.source.made_with.flags.get(KEPT, 0))
        mending = mending_command(self.source, self.onnx)
        return Source(content, str(self.onnx), self.precision, kept, mending)

    def manifest(self, built: Built, key: str) -> Manifest:
        return Manifest(
            kind="engine",
            model=self.source.model,
            network=self.source.network,
            style=self.source.style,
            precision=self.precision,
            made_of=MadeOf(
                weights=self.source.made_of.weights,
                onnx_sha256=self.source.came_out.sha256,
                calibration_sha256=self.source.made_of.calibration_sha256,
            ),
            made_with=MadeWith(
                trtkit=trtkit.__version__,
                tool=self.builder.name,
                version=self.builder.version(),
                flags=built.flags,
            ),
            made_for=MadeFor(
                compute_capability=self.capability,
                profiles=plain_profiles(self.settings.profiles),
                memory_plan=built.memory_plan,
            ),
            came_out=CameOut(
                sha256=hashlib.sha256(built.engine).hexdigest(),
                size=len(built.engine),
                precision_share=built.precision_share,
                # The engine has not run: the figures are those of the ONNX file it was made from.
                checks=self.source.came_out.checks,
            ),
            build_key=key,
        )


def _check_source(source: Manifest, onnx: Path, model: str, network: str, precision: str) -> None:
    found = (source.kind, source.model, source.network, source.precision)
    if found != ("onnx", model, network, precision):
        raise Mistake(
            f"{onnx} is the {source.precision} {source.kind} file of {source.model}/{source.network}; "
            f"needed is the {precision} onnx file of {model}/{network}"
        )


def _up_to_date(target: Path, started: float) -> Outcome:
    seconds = time.monotonic() - started
    return Outcome(target, "up to date", manifests.read(target), f"{target} is up to date", seconds)


def _sentence(target: Path, made: Manifest, why: str, seconds: float) -> str:
    share, plan = made.came_out.precision_share, made.made_for.memory_plan
    text = f"{target} built for {sm(made.made_for.compute_capability or '')} with {made.made_with.tool} "
    text += f"{made.made_with.version} in {seconds:.1f} s ({why})"
    if share is not None:
        text += f"; of {share.compute_layers} compute layers {share.half} are Half and {share.int8} Int8"
    if plan is not None:
        text += f"; {plan.activation_bytes / 2**20:.1f} MiB activations, {plan.weights_bytes / 2**20:.1f} MiB weights"
    return text
