"""`trtkit verify` on a machine with GPUs, which is pretended: it asks the driver for capabilities alone."""

import hashlib

import pytest

from trtkit import manifest
from trtkit.build_engines.versions import installed_versions
from trtkit.manifest import CameOut, MadeFor, MadeOf, MadeWith, Manifest, WeightsRecord
from trtkit.report import artifact


@pytest.mark.parametrize(("here", "code"), [(("8.6", "8.9"), 0), (("8.9", "8.6"), 0), (("8.6",), 4)])
def test_an_engine_for_any_gpu_of_the_machine_is_whole(tmp_path, monkeypatch, capsys, here, code):
    monkeypatch.setattr(artifact, "local_capabilities", lambda: here)
    monkeypatch.setattr(artifact, "installed_versions", lambda: {**installed_versions(), "tensorrt": "10.16.1.11"})
    content = b"not an engine"
    made = Manifest(
        kind="engine",
        model="cv_unet",
        network="matting",
        precision="fp16",
        made_of=MadeOf(weights=WeightsRecord(kind="embedded", sha256="")),
        made_with=MadeWith(trtkit="0", tool="tensorrt", version="10.16.1.11"),
        made_for=MadeFor(compute_capability="8.9"),
        came_out=CameOut(sha256=hashlib.sha256(content).hexdigest(), size=len(content)),
        build_key="",
    )
    manifest.publish(tmp_path / "matting.engine", content, made)
    assert artifact.verify([tmp_path]) == code
    assert ("ok" if code == 0 else "this machine has sm86") in capsys.readouterr().out
