"""`trtkit verify` says what it could not look at: nothing of it passes for checked."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from trtkit import manifest, models

EMBEDDED = models.get("cv_unet").embedded_onnx("matting")


def put(folder: Path, name: str = "matting.fp32.onnx") -> Path:
    """The network of the package with its manifest; there are two files to copy and nothing to make."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(EMBEDDED, folder / name)
    shutil.copy(manifest.path_of(EMBEDDED), manifest.path_of(folder / name))
    return folder / name


@pytest.fixture
def somebody_else():
    """A folder to fill, and what makes this process a user who is not root, to whom nothing is closed."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    user = os.geteuid()
    yield folder, lambda: os.seteuid(65534 if user == 0 else user)
    os.seteuid(user)
    for inside in folder.rglob("*"):
        inside.chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_that_cannot_be_listed_is_a_failure(trtkit, somebody_else):
    folder, become = somebody_else
    seen = put(folder / "seen")
    closed = put(folder / "closed").parent
    closed.chmod(0)
    become()
    answer = trtkit("verify", folder)
    assert answer.code == 2
    assert f"failed  {closed} cannot be listed: Permission denied; check its kind and permissions\n" in answer.out
    assert f"ok      {seen}\n" in answer.out
    assert trtkit("verify", closed).code == 2
    assert trtkit("verify", closed / "matting.fp32.onnx").code == 2


def test_a_manifest_that_cannot_be_read_is_named_itself(trtkit, somebody_else):
    folder, become = somebody_else
    sidecar = manifest.path_of(put(folder))
    sidecar.chmod(0)
    become()
    answer = trtkit("verify", folder)
    assert answer.code == 2
    assert answer.out == f"failed  {sidecar} cannot be read: Permission denied; check its kind and permissions\n"


def test_a_manifest_whose_artifact_is_gone_is_a_failure(trtkit, built_matting, tmp_path):
    root = shutil.copytree(built_matting / "artifacts", tmp_path / "art")
    engine = root / "cv_unet" / "matting.fp16.sm86.tensorrt-rtx.engine"
    engine.unlink()
    answer = trtkit("verify", root)
    assert answer.code == 4
    command = f"trtkit build cv_unet --gpu sm86 --builder tensorrt-rtx --precision fp16 --force --out {root}"
    assert answer.out.splitlines()[0] == (
        f"failed  {engine} is gone, and its manifest stands; make it again with: {command}, or delete {engine}.json"
    )
    assert answer.out.count("ok  ") == 2


def test_a_folder_of_nothing_but_such_a_manifest_holds_something(trtkit, tmp_path):
    artifact = put(tmp_path)
    artifact.unlink()
    manifest.path_of(artifact).write_text("{}")
    answer = trtkit("verify", tmp_path)
    assert answer.code == 4
    assert answer.out.startswith(f"failed  {artifact}.json has schema version None, this trtkit reads 1; make it again")
