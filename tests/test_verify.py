"""`trtkit verify` on a machine with GPUs, which is pretended: it asks the driver for capabilities alone."""

import hashlib

import pytest

from trtkit import manifest
from trtkit.manifest import CameOut, MadeFor, MadeOf, MadeWith, Manifest, WeightsRecord
from trtkit.report import artifact
from trtkit.runtime import engines

BUILT_WITH = "10.16.1.11"


@pytest.fixture
def verified(tmp_path, monkeypatch, capsys):
    """(capabilities, version of TensorRT, flags of an engine for sm89, --here) -> exit code and what was printed."""

    def verify(here, version=BUILT_WITH, flags=None, here_alone=False, content=b"not an engine"):
        monkeypatch.setattr(artifact, "local_capabilities", lambda: here)
        monkeypatch.setattr(engines, "installed_versions", lambda: {"tensorrt": version})
        monkeypatch.setattr(artifact.tensorrt, "library_version", lambda: version)
        made = Manifest(
            kind="engine",
            model="cv_unet",
            network="matting",
            precision="fp16",
            made_of=MadeOf(weights=WeightsRecord(kind="embedded", sha256="")),
            made_with=MadeWith(trtkit="0", tool="tensorrt", version=BUILT_WITH, flags=flags or {}),
            made_for=MadeFor(compute_capability="8.9"),
            came_out=CameOut(sha256=hashlib.sha256(b"not an engine").hexdigest(), size=len(content)),
            build_key="",
        )
        manifest.publish(tmp_path / "cv_unet" / "matting.engine", content, made)
        return artifact.verify([tmp_path], here_alone), " ".join(capsys.readouterr().out.split())

    return verify


@pytest.mark.parametrize("here", [("8.6", "8.9"), ("8.9", "8.6")])
def test_an_engine_for_any_gpu_of_the_machine_is_whole(verified, here):
    for here_alone in (False, True):
        code, said = verified(here, here_alone=here_alone)
        assert code == 0
        assert said.startswith("ok ")
        assert "not for this machine" not in said


def test_an_engine_for_another_gpu_fails_only_where_this_machine_alone_is_asked_for(verified):
    code, said = verified(("8.6",))
    assert code == 0
    assert said.endswith("(hash and manifest; it is for sm89, not for this machine's GPU)")
    code, said = verified(("8.6",), here_alone=True)
    assert code == 4
    assert "this machine has sm86" in said


def test_without_a_gpu_an_engine_fails_only_where_this_machine_alone_is_asked_for(verified):
    code, said = verified(())
    assert code == 0
    assert said.endswith("(hash and manifest; there is no GPU here to judge it for)")
    code, said = verified((), here_alone=True)
    assert code == 4
    assert "this machine has no NVIDIA GPU" in said


def test_an_engine_of_another_version_is_mended_where_it_lies(verified, tmp_path):
    code, said = verified(("8.9",), "11.4.0.106")
    assert code == 4
    assert said.endswith(f"run: trtkit build cv_unet --gpu sm89 --builder tensorrt --precision fp16 --out {tmp_path}")


def test_a_damaged_engine_for_another_gpu_is_a_failure(verified):
    code, said = verified(("8.6",), content=b"no, an engine")
    assert code == 4
    assert "damaged or swapped" in said


@pytest.mark.parametrize(
    ("version", "flags", "code"),
    [
        ("10.17.0.1", {"version_compatible": True}, 0),
        ("10.15.0.1", {"version_compatible": True}, 4),
        ("10.17.0.1", {}, 4),
    ],
)
def test_a_later_tensorrt_may_load_a_version_compatible_engine(verified, version, flags, code):
    assert verified(("8.9",), version, flags)[0] == code
