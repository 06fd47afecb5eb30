"""Large networks without large files: every tensor is noise that follows from its name alone.

    python -m tests.gpu.random_weights SKELETON.onnx OUT.onnx [WEIGHTS.safetensors]

fills a skeleton (an ONNX file whose weights were emptied by `strip`) and writes its manifest; the safetensors file
gets the same weights for PyTorch. The classic U-Net of 64 channels has 31 million of them.
"""

from __future__ import annotations

import hashlib
import math
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, numpy_helper

from tests.said_of_forms import CHECKS
from trtkit import __version__, manifest
from trtkit.files import sha256

SMALLEST = 1024
"""Tensors of fewer values stay as they are."""


def noise(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 of He's scale for a convolution's weight [out, in, k, k], small for a bias."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    if len(shape) < 2:
        return generator.normal(0, 0.02, shape).astype(np.float32)
    return generator.normal(0, math.sqrt(2 / math.prod(shape[1:])), shape).astype(np.float32)


def strip(model: ModelProto) -> ModelProto:
    """Empty the float tensors of SMALLEST values and more."""
    for tensor in model.graph.initializer:
        if _is_large(tensor):
            tensor.raw_data = b""
    return model


def fill(model: ModelProto, prefix: str) -> tuple[ModelProto, dict[str, np.ndarray]]:
    """Give every emptied tensor its noise, by the parameter's name without `prefix`; also gives the float32 weights."""
    weights: dict[str, np.ndarray] = {}
    for tensor in model.graph.initializer:
        if _is_large(tensor):
            name = tensor.name.removesuffix(".half").removeprefix(prefix)
            weights[name] = noise(name, tuple(tensor.dims))
            kind = np.float16 if tensor.data_type == TensorProto.FLOAT16 else np.float32
            tensor.CopyFrom(numpy_helper.from_array(weights[name].astype(kind), tensor.name))
    return model, weights


def publish(model: ModelProto, path: Path, weights_sha256: str | None = None) -> None:
    """Write it with a manifest that says what it is. `weights_sha256`: of the checkpoint with the same weights, which
    `bench run --weights` compares."""
    content = model.SerializeToString(deterministic=True)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    digest = hashlib.sha256(content).hexdigest()
    precision = properties.get("precision", "fp32")
    record = manifest.Manifest(
        kind="onnx",
        model=properties["model"],
        network=properties["network"],
        precision=precision,
        made_of=manifest.MadeOf(
            weights=manifest.WeightsRecord(kind="file", sha256=weights_sha256 or digest, note="random")
        ),
        made_with=manifest.MadeWith(trtkit=__version__, tool="torch.onnx", version="skeleton"),
        came_out=manifest.CameOut(sha256=digest, size=len(content), checks=CHECKS[precision]),
        build_key="random",
    )
    manifest.publish(path, content, record)


def _is_large(tensor: TensorProto) -> bool:
    return tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16) and math.prod(tensor.dims) >= SMALLEST


def main(arguments: list[str]) -> None:
    skeleton, out = Path(arguments[0]), Path(arguments[1])
    model = onnx.load(skeleton)
    prefix = "unet." if any(t.name.startswith("unet.") for t in model.graph.initializer) else "generator."
    filled, weights = fill(model, prefix)
    if len(arguments) < 3:
        publish(filled, out)
        return
    from safetensors.numpy import save_file

    small = {
        tensor.name.removesuffix(".half").removeprefix(prefix): numpy_helper.to_array(tensor).astype(np.float32)
        for tensor in filled.graph.initializer
        if tensor.name.startswith(prefix) and not _is_large(tensor)
    }
    save_file(weights | small, arguments[2])
    publish(filled, out, sha256(Path(arguments[2])))


if __name__ == "__main__":
    main(sys.argv[1:])
