"""Whole files: ours and the recipe do the same work, in the same rounds, as medians. Nothing is timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.serve.tiny import write_tiny
from trtkit import models
from trtkit.bench import whole_files
from trtkit.bench.contenders import OURS, RECIPE
from trtkit.bench.file_runs import FileRun, Watched
from trtkit.bench.rounds import Ratio
from trtkit.bench.run import Settings
from trtkit.bench.whole_files import measure_files
from trtkit.runtime import select


class Files:
    """measure_files on the CPU; `ours` and `theirs` are the shapes that the network was given."""

    def __init__(self, photo: Path, root: Path) -> None:
        self.photo, self.root = photo, root
        self.notes: list[str] = []
        self.theirs: list[tuple[int, ...]] = []

    def measure(self, name: str, rounds: int = 1, **more):  # type: ignore[no-untyped-def]
        model = models.get(name)
        settings = Settings(name, "cpu", rounds=rounds, photo=self.photo, root=self.root, **more)
        networks = {spec.name: select.load(model, spec, self.root, "cpu").backend for spec in model.networks}
        first = model.networks[0]
        watched = networks[first.name] = Watched(networks[first.name])
        self.ours = watched.shapes

        def recipe(arrays):  # type: ignore[no-untyped-def]
            self.theirs.append(arrays["image"].shape)
            return {first.outputs[0].name: np.zeros((*arrays["image"].shape[:3], first.outputs[0].shape[3]), np.uint8)}

        try:
            return measure_files(settings, model, networks, recipe, self.photo.read_bytes(), 2, self.notes)
        finally:
            for backend in networks.values():
                backend.close()


@pytest.fixture
def files(photo: Path, tmp_path: Path) -> Files:
    return Files(photo, write_tiny(tmp_path))


@pytest.mark.parametrize("size", [64, 1024])
def test_cv_unet_s_files_are_done_at_the_size_that_was_asked_for_by_both(files, size):
    found = files.measure("cv_unet", size=size)
    assert {shape[1:] for shape in files.ours} == {(size, size, 3)}
    assert {shape[1:] for shape in files.theirs} == {(size, size, 3)}
    assert found.taken == f"2 pictures, 1 round, the network at {size}x{size}"


def test_the_recipe_works_at_dct_net_s_own_shape_whatever_the_size(files):
    found = files.measure("dct_net", size=128, no_faces=True)
    assert {shape[1:] for shape in files.ours} == {shape[1:] for shape in files.theirs} == {(192, 256, 3)}
    assert found.shape == (192, 256)
    assert files.notes == []


def test_that_ours_draws_heads_and_the_recipe_does_not_is_said(files):
    files.measure("dct_net")
    assert files.notes == [f"file to file, ours draws heads by a network of their own, {RECIPE} does not (--no-faces)"]


def test_a_picture_in_tiles_has_no_recipe(files, monkeypatch):
    monkeypatch.setattr(Watched, "working_shape", None)
    found = files.measure("cv_unet", size=64)
    assert (set(found.runs), found.recipe_over_ours, files.theirs) == ({OURS}, None, [])
    assert files.notes == [
        f"file to file, {RECIPE} is left out: ours takes a picture in several runs, which it does not"
    ]


def test_the_shape_of_several_runs_is_none():
    class Nothing:
        def run(self, arrays):  # type: ignore[no-untyped-def]
            return arrays

    watched = Watched(Nothing())  # type: ignore[arg-type]
    for expected in ((3, 4), None):
        watched.run({"image": np.zeros((1, 3, 4, 3), np.uint8)})
        assert watched.working_shape == expected


@pytest.mark.parametrize(("asked", "rounds"), [(1, 1), (2, 2), (9, 5)])
def test_files_take_turns_in_rounds_of_which_the_first_does_not_count(files, asked, rounds, monkeypatch):
    """The two ways of doing files are counted here; what they take is made up."""
    order: list[str] = []

    def takes(name: str, seconds: float):  # type: ignore[no-untyped-def]
        def run(*_: object) -> FileRun:
            order.append(name)
            number = sum(one == name for one in order) - 2  # the first is a trial of one picture, then round 0
            slow = 100.0 if number <= 0 else 10.0 if number == 1 else 1.0  # what slows a whole round cancels out
            return FileRun(seconds * slow, {"run": seconds})

        return run

    monkeypatch.setattr(whole_files, "through_pipeline", takes(OURS, 2.0))
    monkeypatch.setattr(whole_files, "through_recipe", takes(RECIPE, 6.0))
    monkeypatch.setattr(Watched, "working_shape", (64, 64))
    found = files.measure("cv_unet", rounds=asked, size=64)
    turns = [[OURS, RECIPE] if number % 2 else [RECIPE, OURS] for number in range(rounds + 1)]
    assert order == [OURS, RECIPE, *(name for turn in turns for name in turn)]
    assert found.rounds == rounds
    assert found.recipe_over_ours == Ratio(3.0, 3.0, 3.0)
    assert found.runs[OURS].seconds == {1: 20.0, 2: 11.0, 5: 2.0}[rounds], "the median of the rounds that count"
