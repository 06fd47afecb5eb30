"""Builds in real processes: interrupted, killed, and two at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from trtkit import manifest
from trtkit.build_engines.run import build_engine

pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX: pip install 'trtkit[rtx]'")

CHILD = """
import signal, sys, time
from pathlib import Path
from trtkit.build_engines.run import build_engine
from trtkit.config import Config
from trtkit.errors import TrtkitError

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell hands on "ignored"

def progress(phase, done, total):
    print("step", flush=True)
    time.sleep({pause})

try:
    outcome = build_engine(model="toy", network="net", precision="fp16", gpu_name="a10", builder="tensorrt-rtx",
        config=Config.model_validate({config!r}), onnx=Path({onnx!r}), root=Path({root!r}), progress=progress)
except KeyboardInterrupt:
    print("stopped", flush=True)
    sys.exit(130)
except TrtkitError as error:
    print("refused:", error, flush=True)
    sys.exit(error.exit_code)
print(outcome.state, flush=True)
"""


class Child:
    """One build in its own process; each step of its progress takes `pause` seconds."""

    def __init__(self, config, onnx: Path, root: Path, pause: float) -> None:
        code = CHILD.format(config=config.model_dump(by_alias=True), onnx=str(onnx), root=str(root), pause=pause)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_for_steps(self, count: int) -> None:
        for _ in range(count):
            line = self.process.stdout.readline()
            assert line == "step\n", line + self.process.stderr.read()

    def rest(self) -> tuple[list[str], str]:
        """What it printed from here on, and its error text, once it has ended."""
        out, err = self.process.communicate(timeout=60)
        return out.splitlines(), err


@pytest.fixture
def start(tmp_path, config, write_onnx):
    onnx = write_onnx("fp16")
    children: list[Child] = []

    def start_one(pause: float) -> Child:
        children.append(Child(config, onnx, tmp_path, pause))
        return children[-1]

    yield start_one
    for child in children:
        if child.process.poll() is None:
            child.process.kill()
        child.process.communicate()


@pytest.fixture
def build_here(tmp_path, config):
    return lambda: build_engine(
        model="toy",
        network="net",
        precision="fp16",
        gpu_name="a10",
        builder="tensorrt-rtx",
        config=config,
        onnx=tmp_path / "toy" / "net.fp16.onnx",
        root=tmp_path,
    )


def engine_files(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "toy").iterdir() if ".onnx" not in path.name)


def test_ctrl_c_stops_the_build_cleanly_and_writes_nothing(tmp_path, start):
    child = start(pause=0.1)
    child.wait_for_steps(5)
    child.process.send_signal(signal.SIGINT)
    lines, errors = child.rest()
    assert child.process.returncode == 130
    assert lines[-1] == "stopped"
    assert len(lines) < 20, "the build went on after Ctrl-C"
    assert errors == ""
    assert engine_files(tmp_path) == []


def test_a_second_simultaneous_build_names_the_file_and_the_process_that_holds_it(tmp_path, start, build_here):
    first = start(pause=0.02)
    first.wait_for_steps(3)
    first.process.send_signal(signal.SIGSTOP)  # or it would be done, on a busy machine, before the second one begins
    second = start(pause=0.0)
    lines, _ = second.rest()
    first.process.send_signal(signal.SIGCONT)
    assert second.process.returncode == 2
    target = tmp_path / "toy" / "net.fp16.sm86.tensorrt-rtx.engine"
    assert lines == [
        f"refused: {target} is being built by process {first.process.pid}; wait until that has ended, or stop it"
    ]
    lines, _ = first.rest()
    assert lines[-1] == "built"
    manifest.read_verified(target)
    assert build_here().state == "up to date"


def test_a_build_killed_half_way_leaves_nothing_that_looks_finished_and_the_next_one_works(tmp_path, start, build_here):
    child = start(pause=0.1)
    child.wait_for_steps(5)
    child.process.kill()
    child.rest()
    target = tmp_path / "toy" / "net.fp16.sm86.tensorrt-rtx.engine"
    assert engine_files(tmp_path) == [f"{target.name}.lock"]
    # As if it had died while writing, too.
    part = target.with_name(f"{target.name}.{child.process.pid}.part")
    part.write_bytes(b"half an engine")
    assert build_here().state == "built"
    assert engine_files(tmp_path) == [target.name, f"{target.name}.json"]
    manifest.read_verified(target)


def test_an_engine_beside_an_older_manifest_is_found_and_mended(build_here, start):
    # What a kill between the two renames of a second build leaves.
    target = build_here().path
    target.write_bytes(os.urandom(1000))
    assert build_here().state == "built"
    manifest.read_verified(target)
