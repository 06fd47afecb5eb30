"""What `trtkit package triton` refuses before it writes anything."""

from pathlib import Path

import pytest

from trtkit import config
from trtkit.errors import Mistake
from trtkit.package import folder


@pytest.mark.parametrize("out", [".", "..", "sub/.."])
def test_a_folder_without_a_name_of_its_own_is_a_sentence(tmp_path, monkeypatch, out):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(Mistake, match=r"has no name that a package could be renamed to; name a folder"):
        folder.write(Path(out), {"a": b"new"}, lambda sums: b"{}")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty"]


def test_engines_of_two_sets_of_profiles_are_refused(trtkit, engine, tmp_path):
    profiles = config.load().network("cv_unet", "matting").profiles
    engine("8.6")
    other = engine("8.9", profiles=profiles[:1])
    answer = trtkit("package", "triton", "cv_unet", "--artifacts", tmp_path / "artifacts", "--out", tmp_path / "out")
    assert answer.code == 4
    assert f"{other} and " in answer.err.replace("\n", "")
    assert "were built with different profiles, and a Triton model has one configuration for both" in answer.err
    assert not (tmp_path / "out").exists()


def test_a_network_without_int8_is_packaged_in_fp16_beside_one_that_has_it(recon, trtkit, tmp_path):
    answer = trtkit(
        "package", "triton", "hrn", "--precision", "int8", "--artifacts", recon.root, "--out", tmp_path / "out"
    )
    assert answer.code == 2
    said = " ".join(answer.err.split())
    assert "has no fp16 ONNX file of mid_net; make it with: trtkit export hrn --precision fp16" in said
    recon.onnx("int8").unlink()
    answer = trtkit(
        "package", "triton", "hrn", "--precision", "int8", "--artifacts", recon.root, "--out", tmp_path / "out"
    )
    said = " ".join(answer.err.split())
    assert "has no int8 ONNX file of net_recon; make it with: trtkit calibrate hrn" in said
