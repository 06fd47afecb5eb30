import json
from pathlib import Path

import pytest

from trtkit import manifest, models
from trtkit.errors import CheckFailed, Mistake
from trtkit.files import sha256
from trtkit.manifest import CameOut, MadeOf, MadeWith, Manifest, WeightsRecord
from trtkit.mending import mending_command


@pytest.fixture
def artifact(tmp_path):
    path = tmp_path / "cv_unet" / "matting.fp32.onnx"
    content = bytes(range(256)) * 40
    tmp_path.joinpath("x").write_bytes(content)
    manifest.publish(path, content, _manifest(sha256(tmp_path / "x"), len(content)))
    return path


def _manifest(digest: str, size: int) -> Manifest:
    return Manifest(
        kind="onnx",
        model="cv_unet",
        network="matting",
        precision="fp32",
        made_of=MadeOf(weights=WeightsRecord(kind="file", sha256="0" * 64)),
        made_with=MadeWith(trtkit="0", tool="torch.onnx", version="2"),
        came_out=CameOut(sha256=digest, size=size),
        build_key="k",
    )


def test_what_was_published_is_read_back(artifact):
    assert manifest.read_verified(artifact).model == "cv_unet"
    assert sorted(p.name for p in artifact.parent.iterdir()) == ["matting.fp32.onnx", "matting.fp32.onnx.json"]


def test_a_truncated_artifact_is_found_and_mended_by_a_command(artifact):
    artifact.write_bytes(artifact.read_bytes()[:-7])
    with pytest.raises(
        CheckFailed, match=r"matting\.fp32\.onnx is cut short: 10,233 bytes.*make it again with: trtkit export cv_unet"
    ):
        manifest.read_verified(artifact)


def test_one_flipped_bit_is_found(artifact):
    content = bytearray(artifact.read_bytes())
    content[5000] ^= 1
    artifact.write_bytes(content)
    with pytest.raises(CheckFailed, match=r"the sha256 differs: damaged or swapped"):
        manifest.read_verified(artifact)


def test_an_artifact_without_its_manifest_is_refused(artifact):
    manifest.path_of(artifact).unlink()
    with pytest.raises(Mistake, match=r"has no manifest \(matting\.fp32\.onnx\.json is missing"):
        manifest.read_verified(artifact)


def test_a_missing_artifact_is_named(tmp_path):
    with pytest.raises(Mistake, match=r"gone\.engine does not exist"):
        manifest.read(tmp_path / "gone.engine")


def test_a_half_written_manifest_is_found(artifact):
    sidecar = manifest.path_of(artifact)
    sidecar.write_text(sidecar.read_text()[:100])
    with pytest.raises(CheckFailed, match=r"onnx\.json is not whole JSON"):
        manifest.read(artifact)


@pytest.mark.parametrize("version", [0, 2, None, "1"])
def test_a_manifest_of_another_schema_is_refused(artifact, version):
    sidecar = manifest.path_of(artifact)
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"schema_version": version}))
    with pytest.raises(CheckFailed, match=r"has schema version .*, this trtkit reads 1"):
        manifest.read(artifact)


def test_a_manifest_with_a_wrong_key_names_it(artifact):
    sidecar = manifest.path_of(artifact)
    raw = json.loads(sidecar.read_text())
    raw["came_out"]["size"] = "big"
    sidecar.write_text(json.dumps(raw))
    with pytest.raises(CheckFailed, match=r"key 'came_out\.size'"):
        manifest.read(artifact)


def test_the_mending_command_of_an_engine_names_its_capability_and_builder(artifact):
    engine = manifest.read(artifact).model_copy(
        update={
            "kind": "engine",
            "precision": "fp16",
            "made_with": manifest.MadeWith(trtkit="0", tool="tensorrt-rtx", version="1.7.1.116"),
            "made_for": manifest.MadeFor(compute_capability="8.6"),
        }
    )
    path = Path("artifacts/cv_unet/matting.fp16.sm86.tensorrt-rtx.engine")
    command = "trtkit build cv_unet --gpu sm86 --builder tensorrt-rtx --precision fp16 --force"
    assert mending_command(engine, path) == f"make it again with: {command}"


def _int8_engine(artifact, figures, tolerance, flags):
    record = manifest.read(artifact)
    return record.model_copy(
        update={
            "kind": "engine",
            "precision": "int8",
            "made_with": manifest.MadeWith(trtkit="0", tool="tensorrt", version="10.16.1.11", flags=flags),
            "made_for": manifest.MadeFor(compute_capability="8.9"),
            "came_out": record.came_out.model_copy(
                update={"checks": {"against_fp32": figures, "tolerance": tolerance}},
            ),
        }
    )


@pytest.mark.parametrize(
    ("figures", "tolerance", "lossy"),
    [
        ({"mae": 1.0, "sad_percent": 4.0}, {"mae": 2.0, "sad_percent": 5.0}, False),
        ({"mae": 1.0, "sad_percent": 6.0}, {"mae": 2.0, "sad_percent": 5.0}, True),
        ({"mae": 3.0, "sad_percent": 4.0}, {"mae": 2.0, "sad_percent": 5.0}, True),
        ({"mae": 3.0, "psnr": 40.0}, {"mae": None, "psnr": 35.0}, False),
        ({"mae": 3.0, "psnr": 30.0}, {"mae": None, "psnr": 35.0}, True),
        ({"mae": 9.0, "mae_percent": 0.9}, {"mae": 0.01}, False),
        ({"mae": 0.001, "mae_percent": 1.1}, {"mae": 0.01}, True),
    ],
)
def test_the_mending_command_of_an_engine_keeps_what_it_was_built_with(artifact, figures, tolerance, lossy):
    path = Path("artifacts/cv_unet/matting.int8.sm89.tensorrt.engine")
    command = "make it again with: trtkit build cv_unet --gpu sm89 --builder tensorrt --precision int8 --force"
    loss = " --accept-loss" if lossy else ""
    plain = _int8_engine(artifact, figures, tolerance, {})
    assert mending_command(plain, path) == command + loss
    portable = _int8_engine(artifact, figures, tolerance, {"version_compatible": True})
    assert mending_command(portable, path) == f"{command} --version-compatible{loss}"


def test_the_mending_command_makes_it_where_it_lies_and_of_what_it_was(artifact):
    record = manifest.read(artifact)
    command = "make it again with: trtkit export cv_unet --precision fp32 --force --weights CHECKPOINT"
    assert mending_command(record, Path("artifacts/cv_unet/a.onnx")) == command
    assert mending_command(record, Path("my files/cv_unet/a.onnx")) == f"{command} --out 'my files'"
    ours = record.model_copy(update={"made_of": MadeOf(weights=WeightsRecord(kind="embedded", sha256="0" * 64))})
    assert mending_command(ours, Path("bad/cv_unet/a.onnx")) == (
        "make it again with: trtkit export cv_unet --precision fp32 --force --weights embedded --out bad"
    )
    shipped = models.get("cv_unet").embedded_onnx("matting")
    assert mending_command(ours, shipped) == "it comes with trtkit, so install trtkit again"


@pytest.mark.parametrize(("source", "command"), [("drawn", ""), ("folder", " --images DIR")])
def test_the_mending_command_of_an_int8_form_is_the_calibration_that_makes_it(artifact, source, command):
    record = manifest.read(artifact)
    flags = record.made_with.model_copy(update={"flags": {"image_source": source}})
    form = record.model_copy(update={"precision": "int8", "made_with": flags})
    path = Path("artifacts/cv_unet/matting.int8.onnx")
    assert mending_command(form, path) == f"make it again with: trtkit calibrate cv_unet{command}"


def test_a_folder_is_told_from_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Mistake, match=r" is a folder; name an ONNX file or an engine in it"):
        manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("place", "command"),
    [
        ("art/cv_unet/matting.fp16.onnx", "trtkit export cv_unet --precision fp16 --force --weights WEIGHTS --out art"),
        ("artifacts/dct_net-3d/head.fp32.onnx", "dct_net --style 3d --precision fp32 --force --weights WEIGHTS"),
        (
            "art/cv_unet/matting.fp16.sm86.tensorrt-rtx.engine",
            "trtkit build cv_unet --gpu sm86 --builder tensorrt-rtx --precision fp16 --force --out art",
        ),
        ("art/cv_unet/matting.int8.onnx", "make it again with: trtkit calibrate cv_unet --images DIR --out art"),
        ("art/cv_unet/matting.fp8.onnx", "make it again with trtkit"),
        ("artifacts/cv_unet/net1.fp32.onnx", "make it again with trtkit"),
        ("art/mine/net.fp32.onnx", "make it again with trtkit"),
    ],
)
def test_an_artifact_that_lost_its_manifest_is_mended_by_a_command(in_empty_folder, place, command):
    path = Path(place)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"onnx")
    with pytest.raises(Mistake) as raised:
        manifest.read(path)
    assert command in str(raised.value)


def test_a_name_that_no_file_can_have_is_one_sentence(tmp_path):
    with pytest.raises(Mistake, match=r"aaa\.onnx cannot be read: File name too long; check its kind"):
        manifest.read(tmp_path / ("a" * 300 + ".onnx"))


def test_of_a_calibration_the_command_keeps_its_method(artifact):
    made = manifest.read(artifact).model_copy(update={"precision": "int8"})
    flags = {"method": "percentile", "image_source": "folder"}
    made = made.model_copy(update={"made_with": made.made_with.model_copy(update={"flags": flags})})
    assert "trtkit calibrate cv_unet --images DIR --method percentile" in mending_command(made, artifact)
