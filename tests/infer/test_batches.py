"""Of many pictures none ends the others' work, whatever it meets, and all are told of as they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trtkit.infer.inputs import Job
from trtkit.infer.run import Unforeseen, process
from trtkit.models.cv_unet import pipeline as cv_unet
from trtkit.models.pipeline import Files, StageClock

STRANGE = b"caf\xe9"
"""Latin-1: what an old archive leaves on a disk."""


def test_pictures_of_several_folders_are_not_said_to_lie_in_one(trtkit, portrait, in_empty_folder):
    for name in ("a/x.jpg", "b/y.jpg"):
        Path(name).parent.mkdir()
        shutil.copy(portrait, name)
    answer = trtkit("infer", "a/x.jpg", "b/y.jpg")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("2 of 2 pictures done, each result beside its picture, ")
    assert Path("a/x.cutout.png").is_file()
    assert Path("b/y.cutout.png").is_file()
    assert trtkit("infer", "a/x.jpg", "b/y.jpg", "-o", "out").out.startswith("2 of 2 pictures written to out, ")


def _infer(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    """As a process whose streams are UTF-8 and nothing else, as a terminal's are."""
    command = [sys.executable, "-m", "trtkit.cli", "infer", *arguments]
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    return subprocess.run(command, capture_output=True, check=False, timeout=300, env=strict)


@pytest.mark.parametrize("many", [False, True])
def test_names_that_are_not_utf8_are_told_escaped(portrait, in_empty_folder, many):
    name = os.fsdecode(STRANGE)
    shutil.copy(portrait, f"{name}.jpg")
    folder = [f"{name}.jpg"]
    if many:
        shutil.copy(portrait, "z.jpg")
        Path(f"{name}.png").write_bytes(b"no picture")
        folder = ["."]
    done = _infer(*folder, "-o", f"{name}/")
    assert done.returncode == (2 if many else 0), done.stderr
    assert Path(f"{name}/{name}.cutout.png").is_file()
    assert b"caf\\udce9" in done.stdout
    assert b"Traceback" not in done.stderr
    if many:
        assert b"2 of 3 pictures written to caf\\udce9" in done.stdout
        assert b"failed: caf\\udce9.png is not an image" in done.stderr
        assert Path(f"{name}/z.cutout.png").is_file()


def test_a_fault_of_our_own_ends_no_batch_and_is_raised_when_all_are_done(
    trtkit, portrait, in_empty_folder, monkeypatch
):
    for name in "abcdef":
        shutil.copy(portrait, f"{name}.jpg")
    whole = cv_unet.compose.cutout
    calls = []

    def broken(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("as if")
        return whole(*arguments)

    monkeypatch.setattr(cv_unet.compose, "cutout", broken)
    with pytest.raises(ZeroDivisionError, match="as if"):
        trtkit("infer", ".")
    assert len(list(Path().glob("*.cutout.png"))) == 5


class Noting:
    """A pipeline of two files a picture, which says something of each; broken where the picture is black."""

    needed_pixels = None
    notes = ()

    def prepare(self, picture, clock):
        if not picture.rgb.any():
            raise KeyError("black")
        return picture

    def run(self, batch, clock):
        return batch

    def finish(self, item, raw, clock):
        return Files(lambda stem: {f"{stem}.a.json": b"{}", f"{stem}.b.json": b"{}"}, ("one face left out",))


def test_each_outcome_has_its_files_its_notes_or_its_error(tmp_path):
    work = []
    for name, level in (("a", 90), ("b", 0), ("c", 90)):
        Image.fromarray(np.full((4, 4, 3), level, np.uint8)).save(tmp_path / f"{name}.png")
        work.append(Job(tmp_path / f"{name}.png", tmp_path / "out" / name))
    outcomes = {outcome.job.target.name: outcome for outcome in process(Noting(), work, StageClock(), batch=2)}
    assert outcomes["a"].files == (tmp_path / "out" / "a.a.json", tmp_path / "out" / "a.b.json")
    assert outcomes["a"].notes == outcomes["c"].notes == ("one face left out",)
    assert outcomes["c"].files[0].is_file()
    error = outcomes["b"].error
    assert isinstance(error, Unforeseen)
    assert str(error) == f"{tmp_path / 'b.png'} met a fault of trtkit's own: KeyError: 'black'"
    assert isinstance(error.__cause__, KeyError)
