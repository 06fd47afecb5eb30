"""The networks in the package under a folder that an older trtkit left, and what a folder of photographs is."""

import json

import pytest

from trtkit import config, manifest, models
from trtkit.export import run
from trtkit.export.photographs import photographs

MODEL = models.get("cv_unet")
SPEC = MODEL.network("matting")


@pytest.mark.parametrize("change", [("made_with", "flags", "form"), ("made_of", "weights", "sha256")])
def test_an_embedded_network_of_another_form_or_other_weights_is_unpacked_again(tmp_path, change):
    first = run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
    assert not run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load()).made
    sidecar = manifest.path_of(first.path)
    raw = json.loads(sidecar.read_text())
    part, inner, key = change
    raw[part][inner][key] = 0 if key == "form" else "0" * 64
    sidecar.write_text(json.dumps(raw))
    again = run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
    assert (again.made, again.manifest) == (True, first.manifest)


def test_a_folder_called_like_a_photograph_is_none(tmp_path, portrait):
    (tmp_path / "a.jpg").mkdir()
    (tmp_path / "b.jpg").write_bytes(portrait.read_bytes())
    assert len(photographs(tmp_path)) == 1
