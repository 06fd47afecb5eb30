"""A network small enough for thousands of requests, in the place of cv_unet's: its alpha is the red channel."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image

from trtkit import manifest
from trtkit.manifest import CameOut, MadeOf, MadeWith, Manifest, WeightsRecord


def tiny_onnx() -> bytes:
    """uint8 'image' [N, H, W, 3] → uint8 'alpha' [N, H, W, 1]."""
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("from", 0), ("to", 1), ("axis", 3))
    ]
    graph = helper.make_graph(
        [helper.make_node("Slice", ["image", "from", "to", "axis"], ["alpha"])],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("alpha", TensorProto.UINT8, ["N", "H", "W", 1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def write_tiny(root: Path) -> Path:
    """The network under `root` as `trtkit export` would leave it; returns `root`."""
    content = tiny_onnx()
    digest = hashlib.sha256(content).hexdigest()
    manifest.publish(
        root / "cv_unet" / "matting.fp32.onnx",
        content,
        Manifest(
            kind="onnx",
            model="cv_unet",
            network="matting",
            precision="fp32",
            made_of=MadeOf(weights=WeightsRecord(kind="file", sha256=digest, note="the red channel")),
            made_with=MadeWith(trtkit="0", tool="onnx.helper", version=onnx.__version__),
            came_out=CameOut(sha256=digest, size=len(content)),
            build_key=digest,
        ),
    )
    return root


def photo(height: int, width: int, seed: int = 0, kind: str = "JPEG") -> bytes:
    """A smooth made picture as a file."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(stream, kind)
    return stream.getvalue()


def pixels(body: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(body)))
