"""Work that needs TensorFlow, handed to a process of its own, which may be another Python.

TensorFlow takes memory and threads for the life of its process, and wants versions of its own; here it gets both.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from trtkit.errors import MissingComponent, Mistake
from trtkit.runtime.backend import Arrays

VARIABLE = "TRTKIT_TF_PYTHON"
_SCRIPT = Path(__file__).parent / "tensorflow_process.py"


def interpreter(given: Path | None = None) -> str:
    """The Python to use: `given` (--tf-python), else $TRTKIT_TF_PYTHON, else this one if it has both libraries.

    Raises Mistake if the one named is no file, MissingComponent if none is named and this one lacks them.
    """
    named, source = (given, "--tf-python") if given is not None else (os.environ.get(VARIABLE), f"${VARIABLE}")
    if named:
        if not Path(named).is_file():
            raise Mistake(f"{source} {named} does not exist; right would be a Python that has tensorflow and tf2onnx")
        return str(named)
    for module in ("tensorflow", "tf2onnx"):
        if importlib.util.find_spec(module) is None:
            raise MissingComponent(
                f"importing a frozen TensorFlow graph needs the Python package '{module}'; install it with: "
                f"pip install 'trtkit[tf]', or name a Python that has it with --tf-python or ${VARIABLE}"
            )
    return sys.executable


def convert(graph: Path, inputs: Sequence[str], outputs: Sequence[str], python: str) -> tuple[bytes, dict[str, str]]:
    """(ONNX bytes, versions of tensorflow and tf2onnx). `inputs` are NAME, or NAME=VALUE for one that is fixed.

    Raises Mistake naming the file and what is wrong with it or with the names.
    """
    with TemporaryDirectory() as folder:
        target = Path(folder) / "converted.onnx"
        said = _call(python, "convert", graph, target, ",".join(inputs), ",".join(outputs))
        return target.read_bytes(), json.loads(said.splitlines()[-1])


def run(
    graph: Path, feeds: Sequence[Arrays], outputs: Sequence[str], fixed: Sequence[str], python: str
) -> list[Arrays]:
    """What the graph itself gives for each of `feeds`, by TensorFlow on the CPU."""
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
        arrays = {f"{name}/{i}": array for i, feed in enumerate(feeds) for name, array in feed.items()}
        np.savez(source, **arrays)  # type: ignore[arg-type]
        _call(python, "run", graph, source, target, ",".join(outputs), ",".join(fixed))
        with np.load(target) as answers:
            return [{name: answers[f"{name}/{i}"] for name in outputs} for i in range(len(feeds))]


def _call(python: str, *arguments: object) -> str:
    # tf2onnx numbers its names in the order of sets of strings: the same graph is to give the same bytes.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [python, str(_SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace", env=environment)
    if done.returncode == 0:
        return done.stdout
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("trtkit: "):
            raise Mistake(line.removeprefix("trtkit: "))
    last = lines[-1] if lines else f"status {done.returncode}"
    if "ModuleNotFoundError" in last:
        raise MissingComponent(f"{python} lacks what the import needs ({last}); pip install 'trtkit[tf]' into it")
    raise MissingComponent(f"TensorFlow in {python} failed on {arguments[1]}: {last[:300]}")
