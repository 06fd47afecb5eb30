"""An official graph that was imported is served like any other model: its networks in batches, the rest on the host.

The chain is written here by hand, as an import writes it, so that no TensorFlow is needed.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from trtkit import config as configuration
from trtkit import manifest
from trtkit.calib import judge
from trtkit.config import Config
from trtkit.manifest import CameOut, MadeOf, MadeWith, Manifest, WeightsRecord
from trtkit.models.imaging.decode import decode_bytes
from trtkit.models.imported import chain_file
from trtkit.models.imported.chain_file import ChainRecord, NetworkRecord, TensorRecord
from trtkit.models.imported.model import in_use
from trtkit.models.imported.plan import HostStep, NetworkStep, to_json
from trtkit.report.serving import Wish, sources
from trtkit.runtime import cpu
from trtkit.serve.access import Keys
from trtkit.serve.app import make_app
from trtkit.serve.limits import Limits
from trtkit.serve.opening import open_service

from .server import started
from .tiny import photo, pixels

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
PICTURE, SMALL, HALF, RESULT = "input_image:0", "small:0", "half:0", "output_png:0"


def graph(nodes: list, inputs: list, outputs: list, constants: list) -> bytes:
    made = helper.make_graph(
        nodes,
        "part",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def front() -> bytes:
    """The picture's mean colour, float32 [1, 1, 1, 3]."""
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [0, 1])
    first = helper.make_tensor("first", TensorProto.INT64, [1], [0])
    nodes = [
        helper.make_node("ReduceMean", [PICTURE, "axes"], ["mean"], keepdims=1),
        helper.make_node("Unsqueeze", ["mean", "first"], [SMALL]),
    ]
    return graph(nodes, [(PICTURE, FLOAT, ["H", "W", 3])], [(SMALL, FLOAT, [1, 1, 1, 3])], [axes, first])


def core() -> bytes:
    """float32 [N, 1, 1, 3] halved."""
    half = helper.make_tensor("half", FLOAT, [1], [0.5])
    nodes = [helper.make_node("Mul", ["in1", "half"], ["out1"])]
    return graph(nodes, [("in1", FLOAT, ["N", 1, 1, 3])], [("out1", FLOAT, ["N", 1, 1, 3])], [half])


def back() -> bytes:
    """uint8 [H, W, 4]: the picture, and half of its mean brightness as alpha."""
    nodes = [
        helper.make_node("ReduceMean", [HALF], ["grey"], keepdims=0),
        helper.make_node("ReduceMax", [PICTURE, "last"], ["one"], keepdims=1),
        helper.make_node("Mul", ["one", "zero"], ["none"]),
        helper.make_node("Add", ["none", "grey"], ["alpha"]),
        helper.make_node("Concat", [PICTURE, "alpha"], ["rgba"], axis=2),
        helper.make_node("Cast", ["rgba"], [RESULT], to=UINT8),
    ]
    constants = [
        helper.make_tensor("zero", FLOAT, [1], [0.0]),
        helper.make_tensor("last", TensorProto.INT64, [1], [2]),
    ]
    inputs = [(PICTURE, FLOAT, ["H", "W", 3]), (HALF, FLOAT, [1, 1, 1, 3])]
    return graph(nodes, inputs, [(RESULT, UINT8, ["H", "W", 4])], constants)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Artifacts with the imported graph as cv_unet's."""
    root = tmp_path_factory.mktemp("artifacts")
    weights = WeightsRecord(kind="file", sha256="0" * 64, note="made by hand")
    sums = {}
    for name, content in (("host1", front()), ("core1", core()), ("host2", back())):
        sums[name] = hashlib.sha256(content).hexdigest()
        record = Manifest(
            kind="onnx",
            model="cv_unet",
            network=name,
            precision="fp32",
            made_of=MadeOf(weights=weights),
            made_with=MadeWith(trtkit="0", tool="onnx.helper", version=onnx.__version__),
            came_out=CameOut(sha256=sums[name], size=len(content)),
            build_key=sums[name],
        )
        manifest.publish(root / "cv_unet" / f"{name}.fp32.onnx", content, record)
    tensors = {"shape": [None, 1, 1, 3], "dtype": "float32"}
    network = NetworkRecord(
        inputs=[TensorRecord(name="in1", **tensors)],
        outputs=[TensorRecord(name="out1", **tensors)],
        keep_fp32={},
        tolerance=1.0,
        sha256=sums["core1"],
    )
    steps = (
        HostStep("host1", (PICTURE,), (SMALL,)),
        NetworkStep("core1", (SMALL,), (HALF,)),
        HostStep("host2", (PICTURE, HALF), (RESULT,)),
    )
    record = ChainRecord(
        model="cv_unet",
        weights=weights,
        graph="tf_graph.pb",
        made_with={},
        inputs=[TensorRecord(name=PICTURE, dtype="float32", shape=[None, None, 3])],
        outputs=[RESULT],
        steps=to_json(steps),
        networks={"core1": network},
        hosts={name: sums[name] for name in ("host1", "host2")},
        on_host=[],
        checks={},
        build_key="0",
    )
    chain_file.write(root / "cv_unet", record)
    return root


def test_an_imported_graph_is_served_in_batches_and_named(root, in_empty_folder):
    wish = Wish(["cv_unet"], None, None, "cpu", [0], None, 8, root, None)
    made = sources(wish)
    assert isinstance(made[0].settings, Config)
    service = open_service(made, "cpu", [0], Limits(workers=2), max_batch=8)
    said = " ".join(service.models["cv_unet"].where)
    assert f"weights of your own, exported to {root / 'cv_unet'}" in said
    assert "made by hand" in said
    batcher = service.models["cv_unet"].networks["core1"]
    batcher._delay = 2.0
    pictures = [photo(40 + 8 * number, 60, number, "PNG") for number in range(6)]

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(make_app(service, Keys([])))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await asyncio.gather(*(client.post("/v1/cv_unet", content=data) for data in pictures))

    answers = asyncio.run(ask())
    service.close()
    for data, answer in zip(pictures, answers, strict=True):
        assert answer.status_code == 200, answer.text
        rgb = decode_bytes(data, "it").rgb
        result = pixels(answer.content)
        np.testing.assert_array_equal(result[..., :3], rgb)
        assert np.abs(result[..., 3].astype(int) - rgb.mean() / 2).max() <= 1
    assert batcher.counts.success == 6
    assert batcher.counts.runs < 6


def test_fronts_read_an_imported_graph_from_its_artifacts(root, tmp_path):
    folder = tmp_path / "cwd"
    folder.mkdir()
    data = photo(40, 60, 1, "PNG")
    with started(root, folder, "--processes", 2) as server:
        answer = httpx.post(f"{server.url}/v1/cv_unet", content=data)
    assert answer.status_code == 200, answer.text
    rgb = decode_bytes(data, "it").rgb
    result = pixels(answer.content)
    np.testing.assert_array_equal(result[..., :3], rgb)
    assert np.abs(result[..., 3].astype(int) - rgb.mean() / 2).max() <= 1


def test_samples_of_its_network_leave_no_backend_open(root, monkeypatch):
    opened, closed = [], []

    class Watched(cpu.CpuBackend):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            opened.append(self)

        def close(self):
            super().close()
            closed.append(self)

    monkeypatch.setattr(cpu, "CpuBackend", Watched)
    model, _ = in_use("cv_unet", None, root, configuration.load())
    picture = np.full((8, 9, 3), 120, np.uint8)
    made = model.sample_inputs("core1", [picture, picture], (0, 0))
    np.testing.assert_array_equal(made["in1"], np.full((2, 1, 1, 3), 120, np.float32))
    assert len(opened) == 1
    assert closed == opened


def test_what_its_numbers_are_off_is_not_called_grey_levels(root):
    """A float network's outputs are in units of their own; its tolerance, which FP16 is held to, is in the same."""
    model, settings = in_use("cv_unet", None, root, configuration.load())
    found = judge.excesses({"mae": 1.25}, settings.network("cv_unet", "core1"), model.network("core1"), "fp16")
    assert found == ["a mean error of 1.25 output units (at most 1)"]
