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
