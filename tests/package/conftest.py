"""Artifacts of cv_unet: the embedded ONNX as it ships, and stand-ins for engines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from trtkit import artifacts, config, manifest, models
from trtkit.config import Profile
from trtkit.manifest import CameOut, MadeFor, MadeOf, MadeWith, Manifest

VERSION = "10.16.1.11"


@pytest.fixture
def engine(tmp_path) -> Callable[..., Path]:
    """engine("8.6", …) writes a stand-in for a TensorRT engine: no TensorRT can build one on a machine without a GPU.
    Its bytes are nonsense, its manifest is what `trtkit build --builder tensorrt` would write."""

    def write(
        capability: str,
        version: str = VERSION,
        builder: str = "tensorrt",
        model: str = "cv_unet",
        network: str = "matting",
        weights: str | None = None,
        profiles: list[Profile] | None = None,
    ) -> Path:
        of = manifest.read(models.get(model).embedded_onnx(network)).made_of.weights
        if weights:
            of = of.model_copy(update={"sha256": weights})
        content = f"not an engine: {model} {network} {capability} {builder}".encode()
        digest = hashlib.sha256(content).hexdigest()
        built = config.load().network(model, network).profiles if profiles is None else profiles
        plain = [{name: ranges.model_dump() for name, ranges in profile.items()} for profile in built]
        path = artifacts.engine_path(tmp_path / "artifacts", model, network, "fp16", capability, builder)
        manifest.publish(
            path,
            content,
            Manifest(
                kind="engine",
                model=model,
                network=network,
                precision="fp16",
                made_of=MadeOf(weights=of, onnx_sha256=digest),
                made_with=MadeWith(trtkit="0", tool=builder, version=version),
                made_for=MadeFor(compute_capability=capability, profiles=plain),
                came_out=CameOut(sha256=digest, size=len(content)),
                build_key=digest,
            ),
        )
        return path

    return write
