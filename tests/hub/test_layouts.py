"""Snapshots that other clients left, in the layouts they used, and the offline mode."""

import pytest

from tests.hub.conftest import MODEL_ID, REVISION
from trtkit.hub import places
from trtkit.hub.official import Official, official

WANTED = official("cv_unet")
OWNER, NAME = MODEL_ID.split("/")
LAYOUTS = {
    "present": f"models/{OWNER}--{NAME}/snapshots/{REVISION}",
    "explicit cache": f"models/{OWNER}/{NAME}",
    "default cache": f"hub/models/{OWNER}/{NAME}",
    "oldest": f"hub/damo/{NAME}",
}


def _leave(pull, layout, files):
    folder = pull.cache / LAYOUTS[layout]
    for name in WANTED.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(files[name])
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_snapshot_in_any_layout_is_compared_and_used_as_it_lies(pull, hub, files, layout):
    folder = _leave(pull, layout, files)
    assert places.find(pull.cache, WANTED) is None, "nobody has said that it is whole"
    done = pull(hub)
    assert "already there, as the hub has it" in done.stdout
    assert str(folder) in done.stdout
    assert hub.sent == 0
    assert places.find(pull.cache, WANTED) == folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_offline_no_request_is_made_and_what_was_not_compared_is_said(pull, hub, files, layout):
    folder = _leave(pull, layout, files)
    done = pull(hub, "--offline")
    assert done.returncode == 0, done.stderr
    assert "not compared with the hub" in done.stdout
    assert "already there" in pull(hub, "--offline").stdout
    assert hub.requests == []
    assert places.find(pull.cache, WANTED) == folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_half_a_snapshot_of_another_client_is_none(pull, hub, files, layout):
    folder = _leave(pull, layout, files)
    (folder / "tf_graph.pb").rename(folder / "tf_graph.pb.incomplete")
    done = pull(hub, "--offline")
    assert done.returncode == 2
    assert "no whole snapshot of iic/cv_unet_image-matting" in done.stderr
    assert hub.requests == []


@pytest.mark.parametrize("layout", ["explicit cache", "default cache", "oldest"])
def test_another_revision_in_an_old_layout_is_left_alone(pull, hub, files, layout):
    folder = _leave(pull, layout, {**files, "tf_graph.pb": b"an older model"})
    done = pull(hub)
    assert done.returncode == 0
    assert str(pull.snapshot) in done.stdout
    assert (folder / "tf_graph.pb").read_bytes() == b"an older model"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_old_layout_is_taken_for_no_other_revision_than_the_usual(pull, hub, files, layout):
    _leave(pull, layout, files)
    done = pull(hub, "--offline", "--revision", "v9")
    assert done.returncode == 2
    assert "there is no whole snapshot of iic/cv_unet_image-matting v9" in done.stderr
    assert pull(hub, "--offline").returncode == 0


def test_dots_of_a_name_are_three_underscores_in_old_layouts(tmp_path):
    wanted = Official("iic/net_v2.0", "master", ("a",))
    folder = tmp_path / "models" / "iic" / "net_v2___0"
    folder.mkdir(parents=True)
    assert list(places.places(tmp_path, wanted)) == [folder]


def test_the_cache_is_the_option_the_variable_or_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    assert places.cache_root(tmp_path / "given") == tmp_path / "given"
    assert places.cache_root(None) == tmp_path
    monkeypatch.delenv("MODELSCOPE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert places.cache_root(None) == tmp_path / "home" / ".cache" / "modelscope"
