"""Networks put where `trtkit infer --artifacts ROOT` finds them, without a checkpoint or an export."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trtkit import __version__, artifacts, manifest
from trtkit.manifest import CameOut, MadeOf, MadeWith, Manifest, WeightsRecord


def publish(root: Path, network: str, onnx: bytes) -> None:
    """Write `onnx` as dct_net's `network` under `root`, with a manifest that describes it."""
    digest = hashlib.sha256(onnx).hexdigest()
    record = Manifest(
        kind="onnx",
        model="dct_net",
        network=network,
        precision="fp32",
        made_of=MadeOf(weights=WeightsRecord(kind="file", sha256=digest, note="random")),
        made_with=MadeWith(trtkit=__version__, tool="torch.onnx", version="test"),
        came_out=CameOut(sha256=digest, size=len(onnx)),
        build_key=digest,
    )
    manifest.publish(artifacts.onnx_path(root, "dct_net", network, "fp32"), onnx, record)
