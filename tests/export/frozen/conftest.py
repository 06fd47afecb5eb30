"""Frozen graphs of every structure, written by TensorFlow in an environment of its own, and imported."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import tensorflow_environment
from trtkit.export.frozen.run import Imported, import_graph
from trtkit.export.frozen.tensorflow_python import TensorFlow
from trtkit.files import sha256
from trtkit.models.spec import Weights

GRAPHS = {
    "A": {"structure": "A", "leaky": "maximum", "norm": True, "resize": "legacy"},
    "A leaky": {"structure": "A", "leaky": "leaky", "norm": False, "resize": "half_pixel", "scaled": True},
    "C": {"structure": "C", "leaky": "leaky", "norm": True, "resize": "legacy"},
    "C aligned": {"structure": "C", "leaky": "maximum", "norm": False, "resize": "align"},
    "B": {"structure": "B", "leaky": "maximum", "norm": True, "resize": "legacy"},
    "B half pixel": {"structure": "B", "leaky": "leaky", "norm": False, "resize": "half_pixel", "scaled": True},
}
CORES = {"A": {"coarse", "refine"}, "C": {"coarse", "refine"}, "B": {"detect", "cond"}}
WRITER = Path(__file__).parent / "write_graph.py"


def write_graphs(python: Path, photograph: np.ndarray, graphs: dict[Path, dict], folder: Path) -> None:
    np.save(folder / "photo.npy", photograph)
    wanted = json.dumps({str(path): options for path, options in graphs.items()})
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [python, WRITER, folder / "photo.npy", wanted], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Case:
    """A frozen graph and what its import left in `root`; the structure is the first letter of the name."""

    name: str
    graph: Path
    root: Path
    imported: Imported

    @property
    def folder(self) -> Path:
        return self.root / "cv_unet"


@pytest.fixture(scope="session")
def tf_python() -> Path:
    return tensorflow_environment.python()


@pytest.fixture(scope="session")
def small_portrait(portrait_pixels) -> np.ndarray:
    """The astronaut, uint8 [160, 200, 3]: the picture whose gate opens."""
    return cv2.resize(portrait_pixels, (200, 160), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="session")
def graphs(tmp_path_factory, tf_python, small_portrait) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("graphs")
    paths = {name: folder / f"{name.replace(' ', '_')}.pb" for name in GRAPHS}
    paths["points"] = folder / "keypoints.pb"
    options = {**GRAPHS, "points": {"structure": "points", "norm": False}}
    write_graphs(tf_python, small_portrait, {paths[name]: options[name] for name in paths}, folder)
    return paths


@pytest.fixture(scope="session")
def import_case(tmp_path_factory, tf_python, graphs):
    """name → Case, each imported once."""
    cases: dict[str, Case] = {}

    def get(name: str) -> Case:
        if name not in cases:
            root = tmp_path_factory.mktemp(name.replace(" ", "_"))
            done = bring_in(graphs[name], root / "cv_unet", tf_python)
            cases[name] = Case(name, graphs[name], root, done)
        return cases[name]

    return get


def bring_in(graph: Path, folder: Path, python: Path | None, **options) -> Imported:
    weights = Weights("file", graph, sha256(graph))
    return import_graph(folder, "cv_unet", None, weights, ["input_image"], ["output_png"], python, **options)


@pytest.fixture(params=list(GRAPHS))
def case(request, import_case) -> Case:
    return import_case(request.param)


@pytest.fixture(scope="session")
def pictures(small_portrait) -> dict[str, np.ndarray]:
    """Bright, dark, an odd size, a tall one: uint8 RGB."""
    return {
        "bright": small_portrait,
        "dark": small_portrait * 0,
        "odd": cv2.resize(small_portrait, (131, 97), interpolation=cv2.INTER_AREA),
        "tall": np.ascontiguousarray(small_portrait.transpose(1, 0, 2)),
    }


@pytest.fixture(scope="session")
def by_tensorflow(tf_python, pictures):
    """name → picture → what TensorFlow makes of it with the graph itself, each graph run once."""
    known: dict[Path, dict[str, np.ndarray]] = {}

    def get(graph: Path) -> dict[str, np.ndarray]:
        if graph not in known:
            feeds = [{"input_image": picture.astype(np.float32)} for picture in pictures.values()]
            answers = tensorflow.run(graph, feeds, ["output_png"], [])
            known[graph] = {name: one["output_png"] for name, one in zip(pictures, answers, strict=True)}
        return known[graph]

    with TensorFlow(str(tf_python)) as tensorflow:
        yield get
