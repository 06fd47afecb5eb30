"""Both networks exported, halved and built for real: on the weights in the package, and on trained official ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from tests.real_cartoons import REAL
from trtkit import config, manifest, models
from trtkit.build_engines.run import build_engine
from trtkit.export.run import ensure, export
from trtkit.mending import mending_command

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

from trtkit.models.dct_net.network import Generator, GeneratorConfig  # noqa: E402

MODEL = models.get("dct_net")
KEPT = ("from_uint8", "guided_filter", "to_uint8")


@pytest.fixture(scope="module", params=["embedded", "real"])
def exported(request, tmp_path_factory) -> Path:
    """The root under which both networks lie in FP32 and FP16."""
    root = tmp_path_factory.mktemp("exported") / "artifacts"
    if request.param == "real":
        shutil.copytree(request.getfixturevalue("real_cartoons"), root)
    for network in MODEL.networks:
        export(MODEL, network, "fp16", root, config.load(), REAL if request.param == "real" else None)
    return root


@pytest.mark.parametrize(("network", "labels"), [("background", 6), ("head", 2)])
def test_the_onnx_matches_its_source_at_every_size_and_batch(exported, network, labels):
    record = manifest.read_verified(exported / "dct_net" / f"{network}.fp32.onnx")
    figures = record.came_out.checks["against_source"]
    assert len(figures) == labels
    assert any(label.startswith("3x") for label in figures)
    assert all(figure["max"] <= 1 for figure in figures.values())


@pytest.mark.parametrize("network", ["background", "head"])
def test_half_fits_and_stays_close(exported, network):
    checks = manifest.read_verified(exported / "dct_net" / f"{network}.fp16.onnx").came_out.checks
    assert checks["half_range"]["peak"] < 32752
    assert checks["rounded_to_half"]["mean"] < 1
    assert all(figure["mean"] < 1 for figure in checks["against_fp32"].values())


@pytest.mark.parametrize("network", ["background", "head"])
def test_only_the_edges_and_the_guided_filter_stay_in_fp32(exported, network):
    graph = onnx.shape_inference.infer_shapes(onnx.load(exported / "dct_net" / f"{network}.fp16.onnx")).graph
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    for node in graph.node:
        if node.op_type in ("Conv", "LeakyRelu", "Resize"):
            assert types[node.output[0]] == onnx.TensorProto.FLOAT16, node.name
        if node.name.startswith(KEPT) and node.op_type != "Cast":
            assert types[node.output[0]] == onnx.TensorProto.FLOAT, node.name
    assert sum(node.op_type == "Conv" for node in graph.node) == 18
    resizes = [node for node in graph.node if node.op_type == "Resize"]
    modes = {a.s for node in resizes for a in node.attribute if a.name == "coordinate_transformation_mode"}
    assert (len(resizes), modes) == (2, {b"asymmetric"})


@pytest.mark.parametrize("gpu", ["t4", "a10", "l4"])
@pytest.mark.parametrize("network", ["background", "head"])
def test_engines_are_half_where_it_counts(tmp_path_factory, network, gpu):
    pytest.importorskip("tensorrt_rtx_bindings")
    root = tmp_path_factory.getbasetemp() / "engines"
    source = ensure(MODEL, MODEL.network(network), "fp16", root, config.load())
    outcome = build_engine(
        model="dct_net",
        network=network,
        precision="fp16",
        gpu_name=gpu,
        onnx=source.path,
        config=config.load(),
        root=root,
        builder="tensorrt-rtx",
    )
    share = outcome.manifest.came_out.precision_share
    assert share.compute_layers == 18
    assert share.half >= 0.9 * share.compute_layers


def test_a_style_is_exported_and_built_in_a_folder_of_its_own(trtkit, in_empty_folder, tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.manual_seed(0)
    for network in ("background", "head"):
        save_file(Generator(GeneratorConfig(channels=4)).state_dict(), folder / f"{network}.safetensors")
    answer = trtkit("export", "dct_net", "--style", "sketch", "--weights", folder)
    assert answer.code == 0, answer.err
    path = in_empty_folder / "artifacts" / "dct_net-sketch" / "head.fp32.onnx"
    record = manifest.read_verified(path)
    assert (record.model, record.style, record.made_of.weights.kind) == ("dct_net", "sketch", "file")
    assert "trtkit export dct_net --style sketch" in mending_command(record, path)
    assert not (in_empty_folder / "artifacts" / "dct_net").exists()
