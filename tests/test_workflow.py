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


def test_the_matrix_covers_every_model_and_every_gpu_that_tensorrt_rtx_builds_for():
    matrix = JOB["strategy"]["matrix"]
    assert matrix["model"] == list(models.NAMES)
    capabilities = {config.load().gpu(gpu).compute_capability for gpu in matrix["gpu"]}
    assert capabilities == {"7.5", "8.0", "8.6", "8.9", "12.0"}


def test_make_engines_builds_the_same_gpus():
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("GPUS ?="))
    assert line.partition("=")[2].split() == JOB["strategy"]["matrix"]["gpu"]


@pytest.mark.parametrize("model", models.NAMES)
def test_what_the_workflow_runs_makes_what_it_uploads(tmp_path, model):
    pytest.importorskip("tensorrt_rtx_bindings")
    commands = [step["run"] for step in JOB["steps"] if "run" in step and step["name"] in ("Build", "Verify")]
    for command in commands:
        filled = command.replace("${{ matrix.model }}", model).replace("${{ matrix.gpu }}", "a10")
        program, *arguments = shlex.split(filled)
        assert program == "trtkit"
        subprocess.run([sys.executable, "-m", "trtkit.cli", *arguments], cwd=tmp_path, check=True, capture_output=True)
    upload = next(step for step in JOB["steps"] if step.get("uses", "").startswith("actions/upload-artifact"))
    for pattern in upload["with"]["path"].split():
        assert list(tmp_path.glob(pattern)), pattern
    assert "a10" in (tmp_path / "summary.md").read_text()


def test_the_runner_installs_neither_torch_nor_a_gpu_package():
    install = next(step["run"] for step in JOB["steps"] if step.get("name") == "Install")
    assert '".[cpu,rtx]"' in install
