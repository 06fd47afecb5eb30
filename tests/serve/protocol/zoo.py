"""A model of two networks that no pipeline uses: one of every data type, one without a batch axis.

With cv_unet's embedded network beside it, as artifacts and settings that both servers take.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from trtkit import config, manifest
from trtkit.config import Config, ModelConfig
from trtkit.manifest import CameOut, MadeOf, MadeWith, Manifest, WeightsRecord
from trtkit.models.spec import Model, NetworkSpec, TensorSpec

DTYPES = (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64",
)  # fmt: skip

_ANY = (-1e300, 1e300)

NUMBERS = NetworkSpec(
    name="numbers",
    inputs=tuple(TensorSpec(name, name, ("N", "H"), _ANY) for name in DTYPES),
    outputs=tuple(TensorSpec(f"{name}_out", name, ("N", "H"), _ANY) for name in DTYPES),
)
FIXED = NetworkSpec(
    name="fixed",
    inputs=(TensorSpec("x", "float32", (2, 3), _ANY),),
    outputs=(TensorSpec("y", "float32", (2, 3), _ANY),),
)


def _never(*_: object) -> None:
    raise AssertionError("the zoo is not exported, and nobody sends it a picture")


def _open_pipeline(*_: object) -> None:
    """A server opens every model's pipeline as it starts; nothing asks for this one."""


MODEL = Model(
    name="zoo",
    title="tensors",
    networks=(NUMBERS, FIXED),
    load_source=_never,
    sample_inputs=_never,
    embedded_dir=Path("nowhere"),
    official_id="",
    result_tag="",
    open_pipeline=_open_pipeline,
    several_files=True,
)


def settings() -> Config:
    """engines.yaml with the zoo in it, and with small shapes and batches for cv_unet: warm-ups take no time."""
    base = config.load()
    matting = base.models["cv_unet"].networks["matting"].model_dump()
    shape = {"min": [1, 64, 64, 3], "opt": [1, 256, 256, 3], "max": [2, 512, 512, 3]}
    matting |= {"profiles": [{"image": shape}], "batching": {"max_batch": 2, "max_batch_cpu": 2}}
    rows = {"min": [1, 1], "opt": [1, 3], "max": [4, 16]}
    two = {"min": [2, 3], "opt": [2, 3], "max": [2, 3]}
    networks = {
        "numbers": {
            "precisions": ["fp32"],
            "profiles": [dict.fromkeys(DTYPES, rows)],
            "batching": {"max_batch": 4, "max_batch_cpu": 4},
        },
        "fixed": {"precisions": ["fp32"], "profiles": [{"x": two}]},
    }
    models = {
        "cv_unet": ModelConfig.model_validate({"networks": {"matting": matting}}),
        "zoo": ModelConfig.model_validate({"networks": networks}),
    }
    return base.model_copy(update={"models": models})


def write(root: Path) -> Path:
    """The zoo's artifacts under `root`, as `trtkit export` would leave them; returns `root`."""
    for spec, model in ((NUMBERS, _numbers()), (FIXED, _fixed())):
        onnx.checker.check_model(model)
        content = model.SerializeToString()
        digest = hashlib.sha256(content).hexdigest()
        record = Manifest(
            kind="onnx",
            model="zoo",
            network=spec.name,
            precision="fp32",
            made_of=MadeOf(weights=WeightsRecord(kind="file", sha256=digest, note="made for a test")),
            made_with=MadeWith(trtkit="0", tool="onnx.helper", version=onnx.__version__),
            came_out=CameOut(sha256=digest, size=len(content)),
            build_key=digest,
        )
        manifest.publish(root / "zoo" / f"{spec.name}.fp32.onnx", content, record)
    return root


def _numbers() -> onnx.ModelProto:
    """Every input again as NAME_out."""
    types = {name: helper.np_dtype_to_tensor_dtype(np.dtype(name)) for name in DTYPES}
    return _model(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in DTYPES],
        [helper.make_tensor_value_info(name, kind, ["N", "K"]) for name, kind in types.items()],
        [helper.make_tensor_value_info(f"{name}_out", kind, ["N", "K"]) for name, kind in types.items()],
    )


def _fixed() -> onnx.ModelProto:
    """y = x + 1, [2, 3]."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [], [1])
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "y")]
    return _model([helper.make_node("Add", ["x", "one"], ["y"])], tensors[:1], tensors[1:], [one])


def _model(nodes: list, inputs: list, outputs: list, constants: list | None = None) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "zoo", inputs, outputs, constants or [])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
