"""The CI workflow that builds engines: what it runs is run here, and its matrix covers every model and GPU."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from trtkit import config, models

ROOT = Path(__file__).parent.parent
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "engines.yml").read_text())
JOB = WORKFLOW["jobs"]["build"]
MATRIX = JOB["strategy"]["matrix"]
PAIRS = [
    (model, precision)
    for model in MATRIX["model"]
    for precision in MATRIX["precision"]
    if {"model": model, "precision": precision} not in MATRIX.get("exclude", [])
]
"""Model and precision of every job that the matrix makes for a GPU."""


def test_the_matrix_covers_every_model_and_every_gpu_that_tensorrt_rtx_builds_for():
    matrix = JOB["strategy"]["matrix"]
    assert matrix["model"] == list(models.NAMES)
    capabilities = {config.load().gpu(gpu).compute_capability for gpu in matrix["gpu"]}
    assert capabilities == {"7.5", "8.0", "8.6", "8.9", "12.0"}


def test_make_engines_builds_the_same_gpus():
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("GPUS ?="))
    assert line.partition("=")[2].split() == JOB["strategy"]["matrix"]["gpu"]


def test_the_matrix_covers_every_precision_that_a_model_is_built_in():
    settings = config.load()
    wanted = {
        (name, precision)
        for name in models.NAMES
        for network in settings.models[name].networks.values()
        for precision in network.precisions
        if precision in ("fp16", "int8")
    }
    assert set(PAIRS) == wanted


def _small(folder: Path, model: str) -> None:
    """The package's settings, tuned for small pictures: what a calibration takes goes with their area."""
    raw = config.load().model_dump(by_alias=True)
    for network in raw["models"][model]["networks"].values():
        for profile in network["profiles"]:
            for shape in profile.values():
                if len(shape["opt"]) == 4 and shape["min"] != shape["max"]:
                    side = [max(least, min(size, 256)) for least, size in zip(shape["min"], shape["opt"], strict=True)]
                    shape["opt"] = [shape["opt"][0], *side[1:3], shape["opt"][3]]
    (folder / "engines.yaml").write_text(yaml.safe_dump(raw))


def _commands(model: str, precision: str) -> list[list[str]]:
    """What the job of a10 runs, as trtkit's arguments."""
    found = []
    for step in JOB["steps"]:
        if step.get("name") not in ("Calibrate", "Build", "Verify"):
            continue
        condition = step.get("if")
        assert condition in (None, "matrix.precision == 'int8'")
        if condition and precision != "int8":
            continue
        filled = step["run"]
        for key, value in (("model", model), ("gpu", "a10"), ("precision", precision)):
            filled = filled.replace(f"${{{{ matrix.{key} }}}}", value)
        program, *arguments = shlex.split(filled)
        assert program == "trtkit"
        found.append(arguments)
    return found


@pytest.mark.parametrize(("model", "precision"), PAIRS)
def test_what_the_workflow_runs_makes_what_it_uploads(tmp_path, model, precision):
    pytest.importorskip("tensorrt_rtx_bindings")
    _small(tmp_path, model)
    for arguments in _commands(model, precision):
        done = subprocess.run(
            [sys.executable, "-m", "trtkit.cli", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    upload = next(step for step in JOB["steps"] if step.get("uses", "").startswith("actions/upload-artifact"))
    for pattern in upload["with"]["path"].split():
        assert list(tmp_path.glob(pattern)), pattern
    settings = config.load().models[model].networks
    for name, network in settings.items():
        kind = precision if precision in network.precisions else "fp16"
        assert list((tmp_path / "artifacts" / model).glob(f"{name}.{kind}.sm86.*.engine"))
    assert "a10" in (tmp_path / "summary.md").read_text()


def test_the_runner_installs_neither_torch_nor_a_gpu_package():
    install = next(step["run"] for step in JOB["steps"] if step.get("name") == "Install")
    (line,) = (line for line in install.splitlines() if "pip install" in line)
    words = shlex.split(line)
    assert words[words.index("install") + 1 :] == ["-c", "constraints.txt", ".[cpu,rtx]"]
