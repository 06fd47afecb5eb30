"""Calibration from a folder of images to the INT8 artifact, on a small network; everything else is the real thing."""

import json
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import onnx
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.calib.conftest import names, pictures
from tests.small_matting import with_int8
from trtkit import manifest
from trtkit.calib import collect, key, run, scales
from trtkit.calib.run import Wish, calibrate
from trtkit.calib.standing import int8_form
from trtkit.calib.target import Target
from trtkit.config import Config
from trtkit.errors import CheckFailed, Mistake
from trtkit.export.run import export
from trtkit.runtime.cpu import CpuBackend


def test_it_writes_scales_that_people_can_read_and_a_graph_that_everyone_takes(target, photographs):
    done = calibrate(target, Wish(photographs))
    assert names(target.scales.parent.iterdir()) == {
        "matting.fp32.onnx",
        "matting.fp32.onnx.json",
        "matting.int8.onnx",
        "matting.int8.onnx.json",
        "matting.scales.json",
    }
    text = json.loads(target.scales.read_text())
    assert set(text["key"]["images"]) == {f"{number}.png" for number in range(6)}
    assert all(0 < found["limit"] <= found["peak"] for found in text["tensors"].values())
    path = target.onnx("int8")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    with CpuBackend(path) as backend:
        assert backend.run({"image": np.zeros((2, 64, 96, 3), np.uint8)})["alpha"].shape == (2, 64, 96, 1)
    assert done.manifest.made_of.onnx_sha256 == target.exact.manifest.came_out.sha256
    assert done.excesses == []


@pytest.mark.parametrize("method", ["entropy", "minmax", "percentile"])
def test_every_method_stays_close_to_fp32(target, photographs, method):
    done = calibrate(target, Wish(photographs, method=method))
    figures = done.manifest.came_out.checks["against_fp32"]
    assert figures["images"] == 6
    assert 0 < figures["mae"] < 2
    assert done.scales.key.method == method


def test_two_calibrations_are_byte_identical(make_target, tmp_path, photographs):
    one, other = make_target(tmp_path / "one"), make_target(tmp_path / "other")
    for target in (one, other):
        calibrate(target, Wish(photographs))
    assert one.scales.read_bytes() == other.scales.read_bytes()
    assert one.onnx("int8").read_bytes() == other.onnx("int8").read_bytes()


def test_nothing_of_the_machine_is_inside(target, photographs):
    calibrate(target, Wish(photographs))
    for path in (target.scales, target.onnx("int8"), manifest.path_of(target.onnx("int8"))):
        assert str(photographs).encode() not in path.read_bytes()


def test_the_same_key_reuses_the_scales_without_torch_or_onnxruntime(target, photographs):
    calibrate(target, Wish(photographs))
    before = target.scales.stat().st_mtime_ns, target.onnx("int8").stat().st_mtime_ns
    code = f"""
        import sys
        from pathlib import Path
        from trtkit.calib.run import Wish, calibrate
        from trtkit.calib.target import Target
        from trtkit import config, models
        raw = config.load().model_dump(by_alias=True)
        profile = {{"image": {{"min": [1, 64, 64, 3], "opt": [1, 128, 128, 3], "max": [2, 128, 128, 3]}}}}
        raw["models"]["cv_unet"]["networks"]["matting"] |= {{"profiles": [profile], "int8": {{}}}}
        model = models.get("cv_unet")
        target = Target(model, model.network("matting"), Path({str(target.root)!r}), config.Config.model_validate(raw))
        done = calibrate(target, Wish(Path({str(photographs)!r})))
        print(done.reason, sorted({{"torch", "onnxruntime"}} & set(sys.modules)))
    """
    answer = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "None []"
    assert (target.scales.stat().st_mtime_ns, target.onnx("int8").stat().st_mtime_ns) == before


def test_another_image_is_another_calibration_and_the_reason_is_said(target, photographs, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(photographs, folder)
    calibrate(target, Wish(folder))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)).save(folder / "0.png")
    assert calibrate(target, Wish(folder)).reason == "the images changed (1 new, 1 gone)"
    assert calibrate(target, Wish(folder)).reason is None


def test_a_renamed_image_is_the_same_image(target, photographs, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(photographs, folder)
    calibrate(target, Wish(folder))
    (folder / "0.png").rename(folder / "00.png")
    assert calibrate(target, Wish(folder)).reason is None


CHANGES = {
    "method": (lambda key: key.model_copy(update={"method": "entropy"}), "the method was entropy and is minmax"),
    "size": (
        lambda key: key.model_copy(update={"size": (64, 64)}),
        "the network's input size was 64x64 and is 128x128",
    ),
    "preprocessing": (lambda key: key.model_copy(update={"preprocessing": "0" * 64}), "the preprocessing changed"),
    "onnx": (lambda key: key.model_copy(update={"onnx_sha256": "0" * 64}), "the ONNX is another one"),
    "version": (
        lambda key: key.model_copy(update={"versions": key.versions | {"numpy": "1.0"}}),
        "numpy was 1.0 and is",
    ),
    "parameters": (
        lambda key: key.model_copy(update={"parameters": {"bins": 1.0}}),
        "the parameters of minmax changed",
    ),
}


@pytest.mark.parametrize("part", list(CHANGES))
def test_the_reason_names_the_part_that_changed(target, photographs, part):
    change, sentence = CHANGES[part]
    done = calibrate(target, Wish(photographs, limit=2))
    old = done.scales.model_copy(update={"key": change(done.scales.key)})
    scales.write(target.scales, old)
    reason = calibrate(target, Wish(photographs, limit=2)).reason
    assert reason is not None
    assert sentence in reason


def test_another_preprocessing_has_another_fingerprint(target, photographs, monkeypatch):
    calibrate(target, Wish(photographs, limit=2))
    mirrored = lambda name, images, size: target.model.sample_inputs(name, [i[:, ::-1] for i in images], size)  # noqa: E731
    from dataclasses import replace

    other = Target(replace(target.model, sample_inputs=mirrored), target.spec, target.root, target.config)
    assert calibrate(other, Wish(photographs, limit=2)).reason == "the preprocessing changed"


def test_damaged_scales_are_made_again(target, photographs):
    calibrate(target, Wish(photographs, limit=2))
    target.scales.write_text(target.scales.read_text()[:-40])
    assert "scales.json" in (calibrate(target, Wish(photographs, limit=2)).reason or "")


@pytest.mark.parametrize("damage", ["another limit", "a tensor less"])
def test_scales_that_are_whole_json_and_not_what_was_measured_are_made_again(target, photographs, damage):
    before = calibrate(target, Wish(photographs, limit=2)).scales
    fields = json.loads(target.scales.read_text())
    name = next(iter(fields["tensors"]))
    if damage == "another limit":
        fields["tensors"][name]["limit"] *= 1.5
    else:
        del fields["tensors"][name]
    target.scales.write_text(json.dumps(fields))
    again = calibrate(target, Wish(photographs, limit=2))
    assert again.reason is not None
    assert "matting.scales.json was damaged or edited since it was made" in again.reason
    assert again.scales == before


def test_half_precision_that_would_overflow_between_the_int8_layers_is_refused(
    target, photographs, checkpoint, small_config, tmp_path
):
    """The CPU computes halves in FP32, where a channel of 60000 that the next layer multiplies by 0 does no harm."""
    state = load_file(checkpoint)
    state["encoder.0.0.bias"][0] = 6e4
    state["encoder.0.2.weight"][:, 0] = 0
    save_file(state, tmp_path / "large.safetensors")
    export(target.model, target.spec, "fp32", target.root, small_config, tmp_path / "large.safetensors")
    large = Target(target.model, target.spec, target.root, target.config)
    said = r"the INT8 form of cv_unet/matting would overflow: tensor '\S+' reaches 6\d{4}.*, more than half of "
    with pytest.raises(CheckFailed, match=said + r"65504; leave it in FP32 with keep_fp32: \["):
        calibrate(large, Wish(photographs, limit=2))
    assert not target.onnx("int8").exists()
    kept = small_config.model_dump(by_alias=True)
    kept["models"]["cv_unet"]["networks"]["matting"]["keep_fp32"] = ["unet.encoder.0"]
    mended = Target(target.model, target.spec, target.root, Config.model_validate(kept))
    calibrate(mended, Wish(photographs, limit=2))
    assert mended.onnx("int8").is_file()


@pytest.mark.parametrize("profile", [{}, {"picture": {"min": [1], "opt": [1], "max": [1]}}])
def test_a_profile_without_the_network_s_image_is_a_sentence(target, photographs, small_config, profile):
    raw = small_config.model_dump(by_alias=True)
    raw["models"]["cv_unet"]["networks"]["matting"]["profiles"] = [profile]
    wrong = Target(target.model, target.spec, target.root, Config.model_validate(raw))
    said = r"models\.cv_unet\.networks\.matting\.profiles\.0 has no shapes of 'image', the input of cv_unet/matting"
    with pytest.raises(Mistake, match=said):
        calibrate(wrong, Wish(photographs, limit=2))


def test_limit_takes_images_evenly(target, photographs):
    done = calibrate(target, Wish(photographs, limit=3))
    assert list(done.scales.key.images) == ["0.png", "2.png", "5.png"]


def test_memory_holds_one_image_at_a_time(target, photographs, monkeypatch):
    """The collector asks for the next image only after it has counted the one before it."""
    alive, most = 0, 0
    sample = target.model.sample_inputs

    class Arrays(dict):
        def __init__(self, *given):
            nonlocal alive, most
            super().__init__(*given)
            alive += 1
            most = max(most, alive)

        def __del__(self):
            nonlocal alive
            alive -= 1

    from dataclasses import replace

    counted = replace(target.model, sample_inputs=lambda *given: Arrays(sample(*given)))
    calibrate(Target(counted, target.spec, target.root, target.config), Wish(photographs))
    assert most <= 2, "the one that runs, and the next as it is made"


def test_the_block_list_is_kept_and_changes_the_graph_alone(make_target, small_config, photographs):
    calibrate(make_target(), Wish(photographs))
    blocked = make_target(config=with_int8(small_config, keep_fp16=["unet.decoder.1"]))
    done = calibrate(blocked, Wish(photographs))
    assert done.reason is None
    assert {"unet.decoder.1.0/conv", "unet.decoder.1.2/conv"} <= set(done.manifest.made_with.flags["fp16"])


def test_what_is_to_stay_in_fp32_is_not_quantized(make_target, small_config, photographs):
    raw = small_config.model_dump(by_alias=True)
    raw["models"]["cv_unet"]["networks"]["matting"]["keep_fp32"] = ["unet.decoder.1", "MaxPool"]
    target = make_target(config=type(small_config).model_validate(raw))
    done = calibrate(target, Wish(photographs))
    kept = {"unet.decoder.1.0/conv", "unet.decoder.1.2/conv"}
    assert kept <= set(done.manifest.made_with.flags["fp16"])
    for node in onnx.load(target.onnx("int8")).graph.node:
        if node.name in kept:
            assert not any("dequantized" in name for name in node.input), node.name


def test_a_block_list_that_names_nothing_is_a_mistake(make_target, small_config, photographs):
    with pytest.raises(Mistake, match=r"no convolution is called 'unet\.dekoder'"):
        calibrate(make_target(config=with_int8(small_config, keep_fp16=["unet.dekoder"])), Wish(photographs))


def test_sensitivity_ranks_the_layers_and_keep_fp16_leaves_the_dearest(target, photographs):
    done = calibrate(target, Wish(photographs, limit=2, sensitivity=True, keep_worst=2))
    assert done.costs is not None
    assert [cost.cost for cost in done.costs] == sorted((cost.cost for cost in done.costs), reverse=True)
    assert {cost.name for cost in done.costs} == {*done.manifest.made_with.flags["int8"], *done.worst}
    assert done.worst == [cost.name for cost in done.costs[:2]]
    assert set(done.worst) <= set(done.manifest.made_with.flags["fp16"])
    less = calibrate(target, Wish(photographs, limit=2)).manifest.came_out.checks["against_fp32"]["mae"]
    assert done.manifest.came_out.checks["against_fp32"]["mae"] < less


def test_costs_are_kept_until_the_scales_change(target, photographs, monkeypatch):
    calibrate(target, Wish(photographs, limit=2, sensitivity=True))
    monkeypatch.setattr(run.sensitivity, "measure", lambda *given: pytest.fail("measured again"))
    assert calibrate(target, Wish(photographs, limit=2, keep_worst=1)).worst


def test_a_stale_form_is_refused_with_the_command(target, photographs, checkpoint, tmp_path, small_config, make_target):
    with pytest.raises(
        Mistake, match=r"has no INT8 scales under .*trtkit calibrate cv_unet --images DIR --out .*artif"
    ):
        int8_form(target)
    calibrate(target, Wish(photographs, limit=2))
    int8_form(Target(target.model, target.spec, target.root, target.config))
    blocked = Target(target.model, target.spec, target.root, with_int8(small_config, keep_fp16=["unet.decoder.1"]))
    with pytest.raises(Mistake, match=r"was not made of matting\.scales\.json and the block list of engines\.yaml"):
        int8_form(blocked)
    state = load_file(checkpoint)
    state["head.bias"] += 0.5
    save_file(state, tmp_path / "other.safetensors")
    export(target.model, target.spec, "fp32", target.root, small_config, tmp_path / "other.safetensors")
    with pytest.raises(
        Mistake, match=r"matting\.scales\.json was made for another ONNX .* calibrate again with: trtkit"
    ):
        int8_form(Target(target.model, target.spec, target.root, target.config))


# --- what people hand over -------------------------------------------------------------------------------------------


def nothing_was_written(target):
    return names(target.scales.parent.iterdir()) == {"matting.fp32.onnx", "matting.fp32.onnx.json"}


def test_weights_that_are_not_embedded_need_images(target):
    with pytest.raises(Mistake, match=r"--images is missing: cv_unet/matting has weights of kind 'file'.*--images DIR"):
        calibrate(target, Wish())


def test_an_empty_folder_is_a_sentence(target, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Mistake, match=r"--images .*empty holds no photograph \(\.bmp, \.jpeg"):
        calibrate(target, Wish(tmp_path / "empty"))
    assert nothing_was_written(target)


def test_a_folder_that_is_none_is_a_sentence(target, tmp_path):
    with pytest.raises(Mistake, match=r"--images .*gone is not a folder"):
        calibrate(target, Wish(tmp_path / "gone"))


def test_one_image_is_allowed_and_said_to_be_too_few(target, photographs, trtkit, monkeypatch):
    done = calibrate(target, Wish(photographs, limit=1))
    assert len(done.scales.key.images) == 1
    answer = trtkit("calibrate", "cv_unet", "--images", photographs, "--limit", 1, "--out", target.root)
    assert answer.code == 0, answer.err
    assert "one image is no calibration" in answer.err
    assert [line.split("  ")[0] for line in answer.out.splitlines()[:2]] == [
        str(target.scales),
        str(target.onnx("int8")),
    ]


def test_an_image_that_does_not_decode_is_named(target, photographs, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(photographs, folder)
    (folder / "3.png").write_bytes(b"this is no picture")
    with pytest.raises(Mistake, match=r"3\.png"):
        calibrate(target, Wish(folder))
    assert nothing_was_written(target)


@pytest.mark.parametrize("grey", [0, 255])
def test_pictures_of_one_colour_are_refused(target, tmp_path, grey):
    folder = pictures(tmp_path / "flat", *[np.full((80, 90, 3), grey, np.uint8)] * 3)
    with pytest.raises(Mistake, match=r"only pictures of a single colour \(all black, say\)"):
        calibrate(target, Wish(folder))
    assert nothing_was_written(target)


def test_a_tensor_without_a_range_is_named_and_nothing_is_written(target, checkpoint, photographs, tmp_path):
    state = load_file(checkpoint)
    state["encoder.1.0.weight"] *= 0
    state["encoder.1.0.bias"] *= 0
    save_file(state, tmp_path / "dead.safetensors")
    export(target.model, target.spec, "fp32", target.root, target.config, tmp_path / "dead.safetensors")
    dead = Target(target.model, target.spec, target.root, target.config)
    with pytest.raises(CheckFailed, match=r"tensor 'relu_2' is 0 on every calibration image \(a zero range\)"):
        calibrate(dead, Wish(photographs))
    assert nothing_was_written(target)


def test_no_nan_is_ever_written(target, photographs, monkeypatch):
    with pytest.raises(ValueError, match="finite number above 0"):
        scales.TensorRange(peak=1.0, limit=float("nan"))
    monkeypatch.setattr(collect.Histogram, "add", lambda self, values: (_ for _ in ()).throw(ValueError))
    with pytest.raises(CheckFailed, match="is not finite on a calibration image"):
        calibrate(target, Wish(photographs))
    assert nothing_was_written(target)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "0", "-1"])
def test_scales_with_such_a_value_are_refused(target, photographs, value):
    calibrate(target, Wish(photographs, limit=2))
    text = json.loads(target.scales.read_text())
    first = next(iter(text["tensors"]))
    text["tensors"][first]["limit"] = "HERE"
    target.scales.write_text(json.dumps(text).replace('"HERE"', value))
    with pytest.raises(CheckFailed, match=r"matting\.scales\.json: .*calibrate again with --force"):
        scales.read(target.scales)


def test_a_full_disk_is_a_sentence_and_leaves_nothing(target, photographs, monkeypatch):
    import errno
    import os

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    _ = target.exact
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Mistake, match=r"no room left on the disk for .*matting\.scales\.json"):
        calibrate(target, Wish(photographs, limit=2))
    assert nothing_was_written(target)


def test_the_drawn_set_is_seeded_and_for_embedded_weights():
    from trtkit.calib import images
    from trtkit.calib.drawing import COUNT, SIDE, portrait

    drawn = images.drawn(None)
    assert (len(drawn), drawn.source) == (COUNT, "drawn")
    assert np.array_equal(portrait(5), portrait(5))
    assert portrait(5).shape == (SIDE, SIDE, 3)
    assert not np.array_equal(portrait(5), portrait(6))
    assert all(picture.std() > 15 for picture in map(portrait, range(0, COUNT, 6)))
    assert list(images.drawn(3).hashes.items()) == list(drawn.hashes.items())[:3]


def test_the_key_is_of_contents():
    parts = {"form": 1, "onnx_sha256": "a", "size": (1, 2), "preprocessing": "p", "method": "minmax"}
    more = {"parameters": {}, "versions": {}}
    one = key.Key(images={"a": "1", "b": "2"}, **parts, **more)
    renamed = key.Key(images={"x": "1", "y": "2"}, **parts, **more)
    swapped = key.Key(images={"a": "2", "b": "1"}, **parts, **more)
    assert key.digest(one) == key.digest(renamed) != key.digest(swapped)
    assert key.why_not_same(one, renamed) is None


def test_another_order_of_the_images_is_said():
    parts = {"form": 1, "onnx_sha256": "a", "size": (1, 2), "preprocessing": "p", "method": "minmax"}
    one, swapped = (
        key.Key(images=images, parameters={}, versions={}, **parts)
        for images in ({"a": "1", "b": "2"}, {"a": "2", "b": "1"})
    )
    assert key.why_not_same(one, swapped) == "the images changed (their order)"


def test_the_command_that_calibrates_again_keeps_images_and_method(calibrated, monkeypatch):
    """Drawn portraits in their place would be another calibration."""
    embedded = calibrated.exact.manifest.made_of.weights.model_copy(update={"kind": "embedded"})
    made_of = calibrated.exact.manifest.made_of.model_copy(update={"weights": embedded})
    exact = replace(calibrated.exact, manifest=calibrated.exact.manifest.model_copy(update={"made_of": made_of}))
    monkeypatch.setitem(calibrated.__dict__, "exact", exact)
    assert " --images DIR" in calibrated.calibrate_command
    assert "--method" not in calibrated.calibrate_command
    sidecar = manifest.path_of(calibrated.onnx("int8"))
    raw = json.loads(sidecar.read_text())
    raw["made_with"]["flags"] |= {"method": "percentile"}
    sidecar.write_text(json.dumps(raw))
    assert calibrated.calibrate_command.endswith(
        f"trtkit calibrate cv_unet --images DIR --method percentile --out {calibrated.root}"
    )
    raw["made_with"]["flags"] |= {"image_source": "drawn", "worst": ["a", "b"]}
    sidecar.write_text(json.dumps(raw))
    wanted = "trtkit calibrate cv_unet --method percentile --limit 2 --keep-fp16"
    assert calibrated.calibrate_command == f"{wanted} 2 --out {calibrated.root}"
    assert calibrated.keep_more_command == f"{wanted} 4 --out {calibrated.root}"
