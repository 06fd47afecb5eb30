"""Frozen graphs of every structure become networks and host work that give TensorFlow's picture, to 1 grey level."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.export.frozen.conftest import CORES, bring_in
from trtkit import config, manifest
from trtkit.errors import CheckFailed, MissingComponent, Mistake
from trtkit.export.frozen import run, tensorflow_python
from trtkit.export.run import ensure
from trtkit.models.imported import chain_file
from trtkit.models.imported.model import in_use, open_chain
from trtkit.runtime.cpu import CpuBackend


@pytest.fixture
def chain(case):
    return _open(case)


def _open(case):
    record = chain_file.read(case.folder)
    backends = {name: CpuBackend(case.folder / f"{name}.fp32.onnx") for name in record.networks}
    return open_chain(record, case.folder, backends)


def _feed(picture):
    return {"input_image:0": picture.astype(np.float32)}


def test_the_chain_gives_tensorflows_picture(case, chain, pictures, by_tensorflow):
    for name, picture in pictures.items():
        found, wanted = chain.run([_feed(picture)])[0]["output_png:0"], by_tensorflow(case.graph)[name]
        assert found.dtype == np.uint8
        assert found.shape == (*picture.shape[:2], 4)
        assert np.array_equal(found[..., :3], picture)
        assert np.abs(found.astype(int) - wanted).max() <= 1, name


def test_the_comparison_means_something(case, by_tensorflow):
    """The bright picture's alpha is lively; the gate shuts for the dark one, where there is a gate."""
    alpha = {name: picture[..., 3] for name, picture in by_tensorflow(case.graph).items()}
    assert alpha["bright"].std() > 3
    assert (alpha["dark"].max() == 0) == (case.name[0] in "BC")


def test_the_networks_are_the_graphs_convolutional_cores(case):
    record = case.imported.record
    assert set(record.networks) == CORES[case.name[0]]
    in_frozen_graph = {"A": 12, "C": 12, "B": 18}[case.name[0]]
    inside = [
        node.op_type for name in record.networks for node in onnx.load(case.folder / f"{name}.fp32.onnx").graph.node
    ]
    assert inside.count("Conv") == in_frozen_graph, "every convolution is in a network"
    for path in case.folder.glob("host*.fp32.onnx"):
        assert "Conv" not in {node.op_type for node in onnx.load(path).graph.node}


def test_every_network_takes_a_batch_and_treats_its_rows_alone(case):
    for name, network in case.imported.record.networks.items():
        random = np.random.default_rng(1)
        shapes = {tensor.name: tensor.shape for tensor in network.inputs}
        assert all(shape[0] == "N" for shape in shapes.values())
        arrays = {key: random.uniform(-1, 1, (3, *shape[1:])).astype(np.float32) for key, shape in shapes.items()}
        with CpuBackend(case.folder / f"{name}.fp32.onnx") as backend:
            together = backend.run(arrays)
            for row in range(3):
                alone = backend.run({key: array[row : row + 1] for key, array in arrays.items()})
                for key, value in alone.items():
                    np.testing.assert_allclose(together[key][row : row + 1], value, atol=1e-5)


def test_pictures_of_several_sizes_run_together_as_they_do_alone(chain, pictures):
    feeds = [_feed(picture) for picture in pictures.values()]
    for together, feed in zip(chain.run(feeds), feeds, strict=True):
        alone = chain.run([feed])[0]["output_png:0"]
        assert np.abs(together["output_png:0"].astype(int) - alone).max() <= 1


def test_only_what_depends_on_the_picture_stays_on_the_host_and_is_named(case):
    on_host = {(node.operator, node.why.split(" ")[0]) for node in case.imported.record.on_host}
    assert ("Resize", "takes") in on_host
    gated = {("If", "decides"), ("CropAndResize", "cuts"), ("ArgMax", "looks")}
    assert gated <= on_host if case.name.startswith("B") else not gated & on_host


def test_every_file_is_valid_whole_and_says_nothing_of_the_machine(case):
    record = case.imported.record
    files = sorted(case.folder.glob("*.fp32.onnx"))
    assert {path.name.split(".")[0] for path in files} == {*record.networks, *record.hosts}
    for path in files:
        made = manifest.read_verified(path)
        assert (made.model, made.made_with.tool) == ("cv_unet", "tf2onnx")
        onnx.checker.check_model(onnx.load(path), full_check=True)
        content = path.read_bytes() + manifest.path_of(path).read_bytes()
        assert b"/home" not in content
        assert b"site-packages" not in content
        assert str(case.root).encode() not in content


def test_the_check_against_tensorflow_is_in_the_record(case):
    figures = case.imported.record.checks["against_tensorflow"]
    assert len(figures) == 8, "three photographs and a dark one, at two sizes"
    assert max(figure["max"] for figure in figures.values()) <= run.TOLERANCE


def test_the_networks_of_two_imports_are_byte_identical(import_case, tmp_path, tf_python):
    case = import_case("B")
    bring_in(case.graph, tmp_path / "cv_unet", tf_python)
    for name in case.imported.record.networks:
        content = [(folder / f"{name}.fp32.onnx").read_bytes() for folder in (tmp_path / "cv_unet", case.folder)]
        assert content[0] == content[1]


def test_what_stays_on_the_host_is_byte_identical_too(import_case, tmp_path, tf_python):
    """And so is the order in which the converter meets nodes, on which its networks hang as well."""
    case = import_case("A")
    bring_in(case.graph, tmp_path / "cv_unet", tf_python)
    assert case.imported.record.hosts
    for name in case.imported.record.hosts:
        ours, theirs = (folder / f"{name}.fp32.onnx" for folder in (case.folder, tmp_path / "cv_unet"))
        assert ours.read_bytes() == theirs.read_bytes(), name


def test_what_is_up_to_date_needs_no_tensorflow(import_case, monkeypatch):
    monkeypatch.delenv("TRTKIT_TF_PYTHON", raising=False)
    case = import_case("A")
    assert not bring_in(case.graph, case.folder, None).made
    damaged = case.folder / "coarse.fp32.onnx"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1])
    try:
        with pytest.raises(MissingComponent, match=r"needs the Python package 'tensorflow'.*trtkit\[tf\].*--tf-python"):
            bring_in(case.graph, case.folder, None)
    finally:
        damaged.write_bytes(content)


def test_an_import_past_its_tolerance_keeps_nothing(graphs, tmp_path, tf_python, monkeypatch):
    monkeypatch.setattr(run, "TOLERANCE", -1.0)
    with pytest.raises(CheckFailed, match=r"A\.pb differ from TensorFlow's run of it by .* nothing was kept"):
        bring_in(graphs["A"], tmp_path / "cv_unet", tf_python)
    assert not (tmp_path / "cv_unet").exists()


def test_a_host_part_of_another_import_is_refused(import_case, tmp_path):
    case = import_case("A")
    record = case.imported.record.model_copy(update={"hosts": {**case.imported.record.hosts, "host1": "0" * 64}})
    with pytest.raises(CheckFailed, match=r"host1\.fp32\.onnx is of another import"):
        open_chain(record, case.folder, {})


def test_a_damaged_chain_is_one_sentence(import_case, tmp_path):
    case = import_case("A")
    (tmp_path / "cv_unet").mkdir()
    text = (case.folder / "chain.json").read_text()
    (tmp_path / "cv_unet" / "chain.json").write_text(text[: len(text) // 2])
    with pytest.raises(CheckFailed, match=r"chain\.json is not a whole chain .* export the model again"):
        in_use("cv_unet", None, tmp_path, config.load())


def test_what_engines_yaml_leaves_in_fp32_counts_for_a_chains_network_too(import_case):
    raw = config.load().model_dump(by_alias=True)
    networks = raw["models"]["cv_unet"]["networks"]
    networks["coarse"] = networks["matting"] | {"keep_fp32": ["Conv"]}
    used, settings = in_use("cv_unet", None, import_case("A").root, config.Config.model_validate(raw))
    assert settings.network("cv_unet", "coarse").keep_fp32 == ["Conv"]
    assert settings.network("cv_unet", "refine").keep_fp32 == []
    assert {one.name for one in used.networks} == {"coarse", "refine"}


def test_a_network_of_a_chain_that_lost_its_manifest_is_named(import_case, tmp_path):
    shutil.copytree(import_case("A").folder, tmp_path / "cv_unet")
    manifest.path_of(tmp_path / "cv_unet" / "coarse.fp32.onnx").unlink()
    used, settings = in_use("cv_unet", None, tmp_path, config.load())
    with pytest.raises(Mistake, match=r"coarse\.fp32\.onnx has no manifest .*; make it again with trtkit$"):
        ensure(used, used.network("coarse"), "fp32", tmp_path, settings)


BAD_FILES = {
    "no file": (None, Mistake, r"gone\.pb does not exist"),
    "not a graph": (b"hello, this is no graph at all", Mistake, r"bad\.pb is not a whole frozen graph"),
    "empty": (b"", Mistake, r"bad\.pb holds no nodes"),
}


@pytest.mark.parametrize("what", list(BAD_FILES))
def test_a_file_that_is_no_graph_is_one_sentence(trtkit, tmp_path, tf_python, what):
    content, error, sentence = BAD_FILES[what]
    path = tmp_path / ("gone.pb" if content is None else "bad.pb")
    if content is not None:
        path.write_bytes(content)
    answer = trtkit("export", "cv_unet", "--weights", path, "--tf-python", tf_python, "--out", tmp_path / "out")
    assert answer.code == error.exit_code
    assert len(answer.err.splitlines()) == 1
    assert re.search(sentence, answer.err)
    assert not (tmp_path / "out").exists()


def test_a_graph_cut_short_is_one_sentence(graphs, tmp_path, tf_python):
    path = tmp_path / "short.pb"
    path.write_bytes(graphs["A"].read_bytes()[:-1000])
    with pytest.raises((Mistake, MissingComponent), match=r"short\.pb"):
        bring_in(path, tmp_path / "out", tf_python)


def test_a_python_that_is_not_there_is_named(graphs, tmp_path):
    with pytest.raises(Mistake, match=r"--tf-python .*nowhere does not exist; right would be a Python that has"):
        bring_in(graphs["A"], tmp_path / "out", tmp_path / "nowhere")


def test_a_file_that_is_no_program_is_named(graphs, tmp_path):
    (tmp_path / "python").write_text("")
    with pytest.raises(Mistake, match=r"--tf-python .*python is no program; right would be a Python that has"):
        bring_in(graphs["A"], tmp_path / "out", tmp_path / "python")


def test_a_program_that_is_no_python_is_named(graphs, tmp_path):
    """What it is given is what it gives back."""
    program = tmp_path / "cat"
    program.write_text("#!/bin/sh\nexec cat\n")
    program.chmod(0o755)
    with pytest.raises(Mistake, match=r"cat is no Python; name one that has tensorflow and tf2onnx"):
        bring_in(graphs["A"], tmp_path / "out", program)


def test_a_python_beside_us_is_not_looked_for_in_path(tmp_path, monkeypatch):
    (tmp_path / "python3").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert tensorflow_python.interpreter(Path("./python3")) == str(tmp_path / "python3")
