"""Work that needs TensorFlow, handed to a process of its own, which may be another Python.

TensorFlow takes memory and threads for the life of its process, and wants versions of its own; here it gets both.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import numpy as np

from trtkit.errors import MissingComponent, Mistake, TrtkitError
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
        if not os.access(named, os.X_OK):
            raise Mistake(f"{source} {named} is no program; right would be a Python that has tensorflow and tf2onnx")
        return str(Path(named).absolute())  # "./python" without its dot would be looked for in PATH; links stay links
    for module in ("tensorflow", "tf2onnx"):
        if importlib.util.find_spec(module) is None:
            raise MissingComponent(
                f"importing a frozen TensorFlow graph needs the Python package '{module}'; install it with: "
                f"pip install 'trtkit[tf]', or name a Python that has it with --tf-python or ${VARIABLE}"
            )
    return sys.executable


class TensorFlow:
    """A process of `python` with TensorFlow in it: started by the first job, gone at the end of the `with`."""

    def __init__(self, python: str) -> None:
        self._python = python

    def __enter__(self) -> TensorFlow:
        # A file: a pipe that nobody reads while a job is done would stop the process once it is full.
        self._said = TemporaryFile("w+", errors="replace")
        self._process: subprocess.Popen[str] | None = None
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._said.close()

    def convert(self, graph: Path, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[bytes, dict[str, str]]:
        """(ONNX bytes, versions of tensorflow and tf2onnx). `inputs` are NAME, or NAME=VALUE for one that is fixed.

        Raises Mistake naming the file and what is wrong with it or with the names.
        """
        with TemporaryDirectory() as folder:
            target = Path(folder) / "converted.onnx"
            versions: dict[str, str] = self._do("convert", graph, str(target), list(inputs), list(outputs))
            return target.read_bytes(), versions

    def run(self, graph: Path, feeds: Sequence[Arrays], outputs: Sequence[str], fixed: Sequence[str]) -> list[Arrays]:
        """What the graph itself gives for each of `feeds`, by TensorFlow on the CPU."""
        with TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
            arrays = {f"{name}/{i}": array for i, feed in enumerate(feeds) for name, array in feed.items()}
            np.savez(source, **arrays)  # type: ignore[arg-type]
            self._do("run", graph, str(source), str(target), list(outputs), list(fixed))
            with np.load(target) as answers:
                return [{name: answers[f"{name}/{i}"] for name in outputs} for i in range(len(feeds))]

    def _do(self, verb: str, graph: Path, *arguments: object) -> Any:
        if self._process is None:
            # tf2onnx numbers its names in the order of sets of strings: the same graph is to give the same bytes.
            environment = {**os.environ, "PYTHONHASHSEED": "0"}
            command = [self._python, str(_SCRIPT)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, env=environment
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # A process that has ended already takes no job; why it did is what it said.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps([verb, str(graph), *arguments]) + "\n")
            self._process.stdin.flush()
        if answer := self._process.stdout.readline():
            return self._understood(answer)
        raise self._failure(graph)

    def _understood(self, answer: str) -> Any:
        """What the script answered. Raises Mistake for the words of some other program."""
        with contextlib.suppress(ValueError):
            found = json.loads(answer)
            if not isinstance(found, list):  # a program that gives back what it is given
                return found
        raise Mistake(f"{self._python} is no Python; name one that has tensorflow and tf2onnx")

    def _failure(self, graph: Path) -> TrtkitError:
        """Why the process ended."""
        assert self._process is not None
        status = self._process.wait()
        self._said.seek(0)
        lines = [line.rstrip() for line in self._said if line.strip()]
        for line in lines:
            if line.startswith("trtkit: "):
                return Mistake(line.removeprefix("trtkit: "))
        last = lines[-1] if lines else f"status {status}"
        if "ModuleNotFoundError" in last:
            return MissingComponent(
                f"{self._python} lacks what the import needs ({last}); pip install 'trtkit[tf]' into it"
            )
        return MissingComponent(f"TensorFlow in {self._python} failed on {graph}: {last[:300]}")
