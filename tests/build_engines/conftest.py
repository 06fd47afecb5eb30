"""An artifacts folder with real ONNX files in it, and the configuration that goes with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.said_of_forms import CHECKS, FLAGS
from trtkit import artifacts, manifest
from trtkit.config import Config, Precision, ShapeRange

from .networks import image_network

PROFILES = [{"image": {"min": [1, 64, 64, 3], "opt": [1, 64, 64, 3], "max": [2, 128, 128, 3]}}]


@pytest.fixture
def profiles() -> list[dict[str, ShapeRange]]:
    return [{name: ShapeRange.model_validate(shapes) for name, shapes in profile.items()} for profile in PROFILES]


@pytest.fixture
def config() -> Config:
    capabilities = {"a10": "8.6", "rtx3090": "8.6", "l4": "8.9", "v100": "7.0", "h200": "9.0"}
    every = ["tensorrt", "tensorrt-rtx", "onnxruntime"]
    return Config.model_validate(
        {
            "schema": 1,
            "gpus": {
                name: {
                    "title": name.upper(),
                    "compute_capability": capability,
                    "memory_gib": 24,
                    "served_by": ["onnxruntime"] if name == "v100" else every,
                }
                for name, capability in capabilities.items()
            },
            "models": {"toy": {"networks": {"net": {"precisions": ["fp32", "fp16", "int8"], "profiles": PROFILES}}}},
        }
    )


@pytest.fixture
def write_onnx(tmp_path: Path) -> Callable[..., Path]:
    """write_onnx(precision, content=None) → the ONNX file of toy/net under tmp_path, with its manifest."""

    def write(precision: Precision, content: bytes | None = None) -> Path:
        content = image_network(precision) if content is None else content
        path = artifacts.onnx_path(tmp_path, "toy", "net", precision)
        record = manifest.Manifest(
            kind="onnx",
            model="toy",
            network="net",
            precision=precision,
            made_of=manifest.MadeOf(
                weights=manifest.WeightsRecord(kind="embedded", sha256="0" * 64),
                calibration_sha256="1" * 64 if precision == "int8" else None,
            ),
            made_with=manifest.MadeWith(trtkit="0", tool="trtkit", version="0", flags=FLAGS[precision]),
            came_out=manifest.CameOut(
                sha256=hashlib.sha256(content).hexdigest(), size=len(content), checks=CHECKS[precision]
            ),
            build_key="of the export",
        )
        manifest.publish(path, content, record)
        return path

    return write
