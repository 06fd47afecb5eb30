"""export, build, infer and inspect of imported graphs, as a user meets them."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from trtkit import manifest
from trtkit.export import unfinished


@pytest.fixture
def picture(tmp_path, small_portrait):
    path = tmp_path / "photo.png"
    Image.fromarray(small_portrait).save(path)
    return path


def _build(trtkit, root, *names):
    pytest.importorskip("tensorrt_rtx_bindings")
    answer = trtkit("build", *names, "--gpu", "a10", "--gpu", "t4", "--out", root)
    assert answer.code == 0, answer.err
    return answer


@pytest.mark.parametrize("name", ["A", "C", "B half pixel"])
def test_every_network_of_every_structure_is_built_for_8_6_and_7_5(trtkit, import_case, name):
    case = import_case(name)
    answer = _build(trtkit, case.root, "cv_unet")
    for network in case.imported.record.networks:
        for capability, sm in (("8.6", "sm86"), ("7.5", "sm75")):
            made = manifest.read_verified(case.folder / f"{network}.fp16.{sm}.tensorrt-rtx.engine")
            assert made.made_for.compute_capability == capability
            share = made.came_out.precision_share
            assert share.half == share.compute_layers in (6, 12)
            (profile,) = made.made_for.profiles
            assert profile["in1"]["max"][0] == 8
    assert answer.out.count("built") >= 2 * len(case.imported.record.networks)


@pytest.mark.parametrize("name", ["A", "C", "B"])
def test_infer_runs_the_chain_and_gives_tensorflows_picture(
    trtkit, import_case, name, picture, by_tensorflow, tmp_path
):
    case = import_case(name)
    answer = trtkit("infer", picture, "--artifacts", case.root, "-o", tmp_path / "out.png", "--backend", "cpu")
    assert answer.code == 0, answer.err
    assert "weights of your own" in answer.err
    assert "the rest of the graph on the host" in answer.err
    found = cv2.cvtColor(cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    wanted = by_tensorflow(case.graph)["bright"]
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_infer_over_a_background_and_the_matte_alone(trtkit, import_case, picture, tmp_path, by_tensorflow):
    case = import_case("A")
    options = ("--artifacts", case.root, "--backend", "cpu")
    assert trtkit("infer", picture, *options, "-o", tmp_path / "m.png", "--alpha-only").code == 0
    matte = cv2.imread(str(tmp_path / "m.png"), cv2.IMREAD_UNCHANGED)
    assert np.abs(matte.astype(int) - by_tensorflow(case.graph)["bright"][..., 3]).max() <= 1
    assert trtkit("infer", picture, *options, "-o", tmp_path / "w.jpg", "--background", "white").code == 0
    answer = trtkit("infer", picture, *options, "-o", tmp_path / "x.png", "--size", "256")
    assert answer.code == 2
    assert "--size is not an option of the official cv_unet" in answer.err


def test_embedded_weights_stay_a_word_away(trtkit, import_case, picture, tmp_path):
    case = import_case("A")
    options = ("--artifacts", case.root, "--backend", "cpu", "--weights", "embedded")
    answer = trtkit("infer", picture, *options, "-o", tmp_path / "out.png")
    assert answer.code == 0, answer.err
    assert "embedded weights, as --weights says" in answer.err


def test_export_says_what_stays_on_the_host_and_why(trtkit, graphs, tf_python, tmp_path):
    arguments = ("--weights", graphs["B"], "--tf-python", tf_python, "--out", tmp_path)
    answer = trtkit("export", "cv_unet", "--precision", "fp16", *arguments)
    assert answer.code == 0, answer.err
    assert "networks: detect, cond" in answer.out
    assert "If cond_If" in answer.out
    assert "decides by the value of if_person:0" in answer.out
    assert answer.out.count("output units from FP32") == 2
    inspected = trtkit("inspect", tmp_path / "cv_unet" / "chain.json")
    assert inspected.code == 0
    for fact in (
        "stays on the host",
        "ArgMax",
        "if so, network",
        "CropAndResize",
        "if not, on the host",
        "against tensorflow",
    ):
        assert fact in inspected.out
    verified = trtkit("verify", tmp_path)
    assert verified.code == 0, verified.out
    assert trtkit("export", "cv_unet", *arguments).out.count("up to date") == 3


def test_an_import_puts_the_mark_of_a_stopped_export_away(trtkit, graphs, tf_python, tmp_path, picture):
    mark = tmp_path / "cv_unet" / unfinished.NAME
    mark.parent.mkdir()
    mark.write_text("trtkit export cv_unet --weights gone\n")
    assert trtkit("export", "cv_unet", "--weights", graphs["A"], "--tf-python", tf_python, "--out", tmp_path).code == 0
    answer = trtkit("infer", picture, "--artifacts", tmp_path, "-o", tmp_path / "out.png", "--backend", "cpu")
    assert answer.code == 0, answer.err


def test_building_the_embedded_weights_puts_the_chain_out_of_use(trtkit, graphs, tf_python, tmp_path, picture):
    assert trtkit("export", "cv_unet", "--weights", graphs["A"], "--tf-python", tf_python, "--out", tmp_path).code == 0
    pytest.importorskip("tensorrt_rtx_bindings")
    built = trtkit(
        "build", "cv_unet", "--gpu", "a10", "--weights", "embedded", "--precision", "fp32", "--out", tmp_path
    )
    assert built.code == 0, built.err
    answer = trtkit("infer", picture, "--artifacts", tmp_path, "-o", tmp_path / "out.png", "--backend", "cpu")
    assert "on the host" not in answer.out + answer.err
    assert answer.code == 0


def test_any_other_graph_is_imported_and_built(trtkit, graphs, tf_python, tmp_path):
    arguments = ("--any-graph", graphs["points"], "--tf-python", tf_python, "--out", tmp_path)
    names = ("--input", "tower_0/images", "--input", "training_flag=False", "--output", "tower_0/prediction")
    answer = trtkit("export", *arguments, *names)
    assert answer.code == 0, answer.err
    assert "networks: " in answer.out
    record = _build(trtkit, tmp_path, "keypoints")
    assert "keypoints/" in record.out
    unable = trtkit("infer", tmp_path / "keypoints" / "chain.json", "--model", "keypoints", "--artifacts", tmp_path)
    assert unable.code == 2
    assert "infer has no pipeline for" in unable.err


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ("--input", "image", "--output", "output_png"),
            "has no node 'image' for --input; its placeholders: input_image",
        ),
        (("--input", "input_image", "--output", "alpha"), "has no node 'alpha' for --output; nodes that nothing reads"),
        (("--input", "input_image=x", "--input", "y", "--output", "output_png"), "'x' is not a number, true or false"),
        (("--output", "output_png"), "--input is missing; name a node of "),
        (("--input", "input_image"), "--output is missing; name a node of "),
    ],
)
def test_a_wrong_name_is_one_sentence_with_the_right_ones(trtkit, graphs, tf_python, tmp_path, names, sentence):
    answer = trtkit("export", "--any-graph", graphs["A"], "--tf-python", tf_python, "--out", tmp_path / "out", *names)
    assert answer.code == 2
    assert sentence in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["cv_unet", "dct_net-3d", "hrn"])
def test_a_graph_called_as_a_model_does_not_take_over_its_artifacts(trtkit, graphs, tmp_path, name):
    graph = shutil.copy(graphs["points"], tmp_path / f"{name}.pb")
    answer = trtkit("export", "--any-graph", graph, "--input", "x", "--output", "y", "--out", tmp_path / "out")
    assert answer.code == 2
    assert "give the file another name, or export it as that model's (trtkit export" in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [("--weights", "w"), ("--style", "3d")])
def test_options_of_a_model_are_refused_beside_a_graph(trtkit, option):
    answer = trtkit("export", "--any-graph", "x.pb", "--input", "x", "--output", "y", *option)
    assert answer.code == 2
    assert "--weights and --style belong to a model of trtkit's; leave them out beside --any-graph" in answer.err


@pytest.mark.parametrize("arguments", [(), ("cv_unet", "--any-graph", "x.pb"), ("cv_unet", "--input", "x")])
def test_a_model_or_a_graph_but_not_both(trtkit, arguments):
    answer = trtkit("export", *arguments)
    assert answer.code == 2
    assert "name either a model, or a frozen graph" in answer.err
