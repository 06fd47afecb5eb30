"""Whole files in `bench run`: ours and the articles' recipe in rounds of their own, at the same shape."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtkit.bench.contenders import OURS, RECIPE, Step
from trtkit.bench.file_runs import FileRun, Watched, copies_of, race, through_pipeline, through_recipe
from trtkit.bench.rounds import Ratio, ratio
from trtkit.errors import Mistake
from trtkit.models.spec import Model
from trtkit.runtime.backend import Backend

if TYPE_CHECKING:
    from trtkit.bench.run import Settings

PICTURES, ROUNDS = 8, 5
"""Pictures in a round, and rounds at most: the recipe takes seconds for every picture."""
Shape = tuple[int, int]


@dataclass(frozen=True)
class WholeFiles:
    """`shape`: (height, width) that the network saw of a picture, None if it took several runs; `runs`: medians of each
    contender; `recipe_over_ours`: compared within each round, None where ours was alone."""

    pictures: int
    rounds: int
    shape: Shape | None
    runs: dict[str, FileRun]
    recipe_over_ours: Ratio | None

    @property
    def taken(self) -> str:
        """How the figures were taken, for people."""
        at = f", the network at {self.shape[0]}x{self.shape[1]}" if self.shape else ""
        return f"{self.pictures} pictures, {self.rounds} round{'s' if self.rounds > 1 else ''}{at}"


def has_option(model: Model, name: str) -> bool:
    """The model's pipeline has an option of that name."""
    return any(option.name == name for option in model.served)


def measure_files(
    settings: Settings,
    model: Model,
    networks: Mapping[str, Backend],
    recipe: Step | None,
    photo: bytes,
    batch: int,
    notes: list[str],
) -> WholeFiles:
    """`recipe`: its network, None where it does not run here. Raises Mistake for a model of several files, CheckFailed
    for a picture that ours cannot do."""
    if model.several_files:
        raise Mistake(f"{model.name} makes several files of a picture with a face, which nothing else here does")
    options = _options(settings, model)
    pictures, rounds = PICTURES if settings.rounds > 1 else 2, min(settings.rounds, ROUNDS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = copies_of(photo, folder, pictures, "ours")
        first = model.networks[0].name
        watched = Watched(networks[first])
        through_pipeline(model.open_pipeline({**networks, first: watched}, options, math.inf), jobs[:1], 1)
        pipeline = model.open_pipeline(networks, options, math.inf)
        contenders: dict[str, Callable[[], FileRun]] = {OURS: partial(through_pipeline, pipeline, jobs, batch)}
        if recipe is not None:
            contenders |= _recipes_turn(settings, model, recipe, watched.working_shape, photo, folder, pictures, notes)
        runs, timings = race(contenders, rounds)
    over_ours = ratio(timings[RECIPE], timings[OURS]) if RECIPE in timings else None
    return WholeFiles(pictures, rounds, watched.working_shape, runs, over_ours)


def _options(settings: Settings, model: Model) -> dict[str, Any]:
    """The pipeline's: it works at --size where it has that option, as the network's step does."""
    options: dict[str, Any] = {"size": settings.size} if has_option(model, "size") else {}
    return options | ({"no_faces": True} if settings.no_faces else {})


def _recipes_turn(
    settings: Settings,
    model: Model,
    recipe: Step,
    shape: Shape | None,
    photo: bytes,
    folder: Path,
    pictures: int,
    notes: list[str],
) -> dict[str, Callable[[], FileRun]]:
    """The recipe as a contender at the `shape` that ours works at; none, with a note, where it cannot do that."""
    if shape is None:
        notes.append(f"file to file, {RECIPE} is left out: ours takes a picture in several runs, which it does not")
        return {}
    jobs = copies_of(photo, folder, pictures, "recipe")
    bgr = model.networks[0].inputs[0].channels == "BGR"
    try:
        through_recipe(recipe, jobs[:1], shape, bgr)
    except Exception as error:  # another's code, at a shape that it has not seen yet
        notes.append(f"file to file, {RECIPE} is left out: {' '.join(str(error).split())[:300]}")
        return {}
    if has_option(model, "no_faces") and not settings.no_faces:
        notes.append(f"file to file, ours draws heads by a network of their own, {RECIPE} does not (--no-faces)")
    return {RECIPE: partial(through_recipe, recipe, jobs, shape, bgr)}
