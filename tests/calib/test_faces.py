"""INT8 of hrn's coefficient network: calibrated on the crops that its pipeline makes, judged by the faces it gives."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.small_faces import recon_at, with_recon
from training.hrn.portraits import portraits
from trtkit.build_engines.precision_choice import best, enforce_tolerance
from trtkit.build_engines.precision_share import MIN_INT8_SHARE
from trtkit.build_engines.run import build_engines
from trtkit.calib import drawing, form, images, judge, run
from trtkit.calib.run import Wish, calibrate
from trtkit.calib.standing import check_quantized
from trtkit.calib.subject import opened
from trtkit.calib.target import Target
from trtkit.errors import CheckFailed, MissingComponent, Mistake
from trtkit.models.hrn import specs, study
from trtkit.models.hrn.coefficients import COUNT
from trtkit.models.hrn.synthetic import files
from trtkit.models.spec import Around
from trtkit.runtime.cpu import CpuBackend

LIMIT = 1.0
"""Per cent of a face's width."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Four pictures with a drawn face each and one of nobody, as PNG files."""
    folder = tmp_path_factory.mktemp("faces")
    for number in range(4):
        Image.fromarray(drawing.scene(2000 + number, study.draw)).save(folder / f"face{number}.png")
    nobody = np.random.default_rng(1).integers(90, 160, (200, 240, 3), dtype=np.uint8)
    Image.fromarray(nobody).save(folder / "nobody.png")
    return folder


# --- what INT8 costs -------------------------------------------------------------------------------------------------


def test_faces_of_held_out_portraits_stay_within_a_per_cent_of_their_width(recon_made):
    """Portraits by the generator that training is judged by: neither training nor calibration saw them."""
    target, done = recon_made
    assert done.scales.image_source == "drawn"
    assert done.scales.key.method == target.settings.int8.method != "minmax", "engines.yaml's, as none was named"
    assert done.excesses == []
    rows = []
    with opened(target) as subject, CpuBackend(target.exact.path) as fp32, CpuBackend(target.onnx("int8")) as int8:
        for picture, _ in portraits(12):
            if (arrays := subject.inputs(picture)) is not None:
                rows.append(subject.cost(fp32.run(arrays), int8.run(arrays)))
    assert len(rows) >= 10
    assert 0 < np.mean(rows) <= LIMIT


def test_the_distance_is_of_meshes_as_they_are_written():
    model = files.face_model()
    vector = np.random.default_rng(0).normal(0, 0.3, (2, COUNT)).astype(np.float32)
    assert study.apart(model, vector, vector).tolist() == [0, 0]
    shape, _ = study.placed(model, vector)
    moved = vector.copy()
    moved[:, 255] += 0.02 * np.ptp(shape[..., 0], axis=1)
    np.testing.assert_allclose(study.apart(model, vector, moved), 2.0, rtol=1e-3)
    turned = vector.copy()
    turned[:, 225] += np.radians(1)
    assert (study.apart(model, vector, turned) > 0.3).all()
    pale = vector.copy()
    pale[:, 144:224] += 1
    assert study.apart(model, vector, pale).tolist() == [0, 0], "colours move no vertex"


def test_engines_for_three_generations_are_int8(recon):
    pytest.importorskip("tensorrt_rtx_bindings")
    path = recon.onnx("int8")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    outcomes = build_engines(
        model="hrn",
        network="net_recon",
        precision="int8",
        gpu_names=["t4", "a10", "l4"],
        onnx=path,
        config=recon.config,
        root=recon.root,
    )
    assert [outcome.manifest.made_for.compute_capability for outcome in outcomes] == ["7.5", "8.6", "8.9"]
    for outcome in outcomes:
        share = outcome.manifest.came_out.precision_share
        assert share.int8 >= MIN_INT8_SHARE * share.compute_layers


def test_first_and_last_convolution_stay_in_higher_precision(recon_made):
    flags = recon_made[1].manifest.made_with.flags
    convolutions = [node.name for node in recon_made[0].graph.graph.node if node.op_type == "Conv"]
    assert {convolutions[0], convolutions[-1]} <= set(flags["fp16"])
    assert convolutions[-1].startswith("heads")
    assert len(flags["int8"]) >= MIN_INT8_SHARE * len(convolutions)


# --- what it is calibrated on ----------------------------------------------------------------------------------------


def test_the_drawn_set_is_seeded_and_evaluation_has_another():
    drawn, held_out = images.drawn(None, study.draw), images.drawn(None, study.draw, held_out=True)
    assert len(drawn) == len(held_out) == drawing.COUNT
    assert not set(drawn.hashes.values()) & set(held_out.hashes.values())
    assert not set(drawn.hashes.values()) & set(images.drawn(None).hashes.values())
    assert np.array_equal(drawing.scene(3, study.draw), drawing.scene(3, study.draw))


def test_it_sees_the_aligned_face_and_not_the_picture(recon_made):
    with opened(recon_made[0]) as subject:
        arrays = subject.inputs(drawing.scene(1, study.draw))
        assert arrays is not None
        assert arrays["image"].shape == (1, 224, 224, 3)
        # The same face farther away gives the same crop, near enough.
        small = np.full((512, 512, 3), 128, np.uint8)
        small[100:400, 100:400] = np.asarray(Image.fromarray(drawing.scene(1, study.draw)).resize((300, 300)))
        again = subject.inputs(small)
        assert again is not None
        middle = np.s_[:, 60:164, 60:164]
        assert np.abs(arrays["image"][middle].astype(int) - again["image"][middle]).mean() < 16
        assert subject.inputs(np.full((90, 90, 3), 128, np.uint8)) is None


def test_pictures_of_nobody_are_named_and_count_for_nothing(faces, tmp_path, trtkit):
    answer = trtkit("calibrate", "hrn", "--images", faces, "--out", tmp_path / "artifacts")
    assert answer.code == 0, answer.err
    said = " ".join(answer.err.split())
    assert "note: 1 of 5 images do not show a face that can be aligned and count for nothing: nobody.png" in said
    assert "hrn/mid_net has no INT8 form, since engines.yaml states fp16 alone for it: in INT8 its offsets" in said
    assert "of the face's width apart" in " ".join(answer.out.split())
    target = recon_at(tmp_path / "artifacts")
    assert calibrate(target, Wish(faces)).reason is None
    assert not target.root.joinpath("hrn", "mid_net.int8.onnx").exists()
    renamed = shutil.copytree(faces, tmp_path / "renamed")
    (renamed / "nobody.png").rename(renamed / "somebody.png")
    (renamed / "face3.png").rename(renamed / "nobody.png")
    again = calibrate(target, Wish(renamed, force=False, keep_worst=1))
    assert (again.reason, again.unseen) == (None, ["somebody.png"]), "names do not count, contents do"
    assert again.manifest.came_out.checks["against_fp32"]["images"] == 4


def test_checking_on_pictures_of_nobody_is_a_sentence(recon_made, faces):
    """Scales of another set of pictures, say, or of a finder of faces that finds less by now."""
    target, done = recon_made
    nobody = images.from_folder(faces, None).without([f"face{number}.png" for number in range(4)])
    before = target.onnx("int8").read_bytes()
    with pytest.raises(Mistake, match=r"none of 1 pictures shows a face that can be aligned, so hrn/net_recon sees"):
        form.make(target, nobody, done.scales, "0" * 64, [], False, lambda *_: None)
    assert target.onnx("int8").read_bytes() == before


def test_a_face_model_beside_the_weights_is_the_one_that_counts(recon_made, tmp_path):
    """Weights of the user's own; the synthetic face model stands in for one of people."""
    target = recon_made[0]
    files.write(tmp_path / "assets")

    def of(folder):
        return replace(target, model=replace(target.model, around=Around("file", folder)))

    with opened(of(tmp_path)) as subject:
        assert subject.inputs(drawing.scene(1, study.draw)) is not None
    (tmp_path / "assets" / "bfm_uvs2.npy").unlink()
    with (
        pytest.raises(MissingComponent, match=r"does not hold bfm_uvs2\.npy; .* with --weights DIR$"),
        opened(of(tmp_path)),
    ):
        pytest.fail("opened")
    with pytest.raises(MissingComponent, match=r"the face model of 3D Face HRN is missing: .* with --weights DIR$"):
        study.fingerprint(Around("file", None))


def test_only_pictures_of_nobody_are_a_sentence_and_nothing_is_written(tmp_path):
    folder = tmp_path / "nobody"
    folder.mkdir()
    for number in range(2):
        noise = np.random.default_rng(number).integers(90, 160, (100, 100, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    target = recon_at(tmp_path / "artifacts")
    sentence = r"--images: none of 2 pictures shows a face that can be aligned, so hrn/net_recon sees nothing; name"
    with pytest.raises(Mistake, match=sentence):
        calibrate(target, Wish(folder))
    assert not target.scales.exists()
    assert not target.onnx("int8").exists()


def test_another_network_before_it_is_another_preprocessing(recon, monkeypatch):
    def forged(name):
        exported = recon.before[name]
        record = exported.manifest.model_copy(
            update={"came_out": exported.manifest.came_out.model_copy(update={"sha256": "0" * 64})}
        )
        return replace(exported, manifest=record)

    monkeypatch.setitem(recon.before, "fan", forged("fan"))
    monkeypatch.setattr(run, "_measure", lambda *given: pytest.fail("measured again: ".join(given[2].preprocessing)))
    with pytest.raises(pytest.fail.Exception):
        calibrate(recon, Wish())
    assert calibrate(recon_at(recon.root), Wish()).reason is None


def test_sensitivity_counts_in_faces(recon, monkeypatch):
    """Two layers, that it takes no minute."""
    monkeypatch.setattr(run.placement, "candidates", lambda graph: _two(graph))
    done = calibrate(recon, Wish(sensitivity=True))
    assert [cost.name.rpartition("/")[2] for cost in done.costs] == ["conv", "conv"]
    assert all(0 < cost.cost < LIMIT for cost in done.costs)


def _two(graph):
    return [node for node in graph.graph.node if node.op_type == "Conv"][1:3]


# --- what it is held to ----------------------------------------------------------------------------------------------


def test_faces_past_their_limit_stop_a_build_unless_the_loss_is_accepted(recon):
    enforce_tolerance(recon, accept_loss=False)
    strict = Target(recon.model, recon.spec, recon.root, with_recon(vertices_percent=1e-6))
    sentence = r"vertices \S+ % of the face's width apart \(at most 1e-06 %\), as engines\.yaml says; .*--accept-loss"
    with pytest.raises(CheckFailed, match=sentence):
        enforce_tolerance(strict, accept_loss=False)
    enforce_tolerance(strict, accept_loss=True)


def test_the_limit_is_the_one_that_was_promised():
    target = recon_at(None)
    settings = target.settings
    assert settings.int8.vertices_percent == LIMIT
    figures = {"mae": 0.1, "mae_percent": 0.1}
    assert judge.excesses(figures | {"vertices_percent": 0.99}, settings, target.spec) == []
    assert len(judge.excesses(figures | {"vertices_percent": 1.01}, settings, target.spec)) == 1


def test_auto_is_fp16_where_nothing_was_measured_and_says_why(recon):
    choice = best(recon, "a10", "tensorrt-rtx")
    assert (choice.precision, choice.sentence) == (
        "fp16",
        "hrn/net_recon for a10: FP16; INT8 was not measured, since that GPU is not in this machine",
    )
    fan = Target(recon.model, recon.model.network("fan"), recon.root, recon.config)
    assert best(fan, "a10", "tensorrt-rtx").sentence.startswith("hrn/fan for a10: FP16; hrn/fan has no INT8 form")


@pytest.mark.parametrize(
    "spec", [spec for spec in specs.NETWORKS if spec is not specs.RECON], ids=lambda spec: spec.name
)
def test_every_other_network_says_why_it_has_no_int8(spec, recon_made):
    target = Target(recon_made[0].model, spec, recon_made[0].root, recon_made[0].config)
    with pytest.raises(Mistake) as refused:
        check_quantized(target)
    said = f"hrn/{spec.name} has no INT8 form, since engines.yaml states fp16 alone for it: {spec.not_int8}; leave int8"
    assert str(refused.value).startswith(said)
    assert "INT8" in spec.not_int8
