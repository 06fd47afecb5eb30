"""Every name and call that trtkit uses of TensorRT, resolved on the real classes of 10.16, 11.4 and RTX.

TensorRT 10 and 11 cannot run without their GPU; this is what keeps the code from naming what they do not have
(ComfyUI-Upscaler-Tensorrt#100: AttributeError: BuilderFlag has no attribute FP16).
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import trtkit

from .real_bindings import bindings_path
from .trt_usage import LEAN, OBJECTS, RTX_ALONE, TALKERS, Usage, read_usage

PACKAGE = Path(trtkit.__file__).parent
MODULES = {"10.16.1.11": "tensorrt_bindings", "11.4.0.106": "tensorrt_bindings", "rtx": "tensorrt_rtx_bindings"}
LEAN_MODULES = {f"lean {version}": "tensorrt_lean_bindings" for version in ("10.16.1.11", "11.4.0.106")}
ASK = """
import importlib, json, sys
trt = importlib.import_module(sys.argv[1])
def resolve(chain):
    found = trt
    for name in chain.split("."):
        found = getattr(found, name)
    return found
def signature(chain):
    return resolve(chain).__doc__ or ""
told = {}
for chain in json.load(sys.stdin):
    try:
        told[chain] = signature(chain)
    except AttributeError:
        pass
json.dump({"version": trt.__version__, "found": told}, sys.stdout)
"""


@pytest.fixture(scope="module")
def usage() -> Usage:
    return read_usage(PACKAGE)


_answers: dict[tuple[str, ...], dict[str, str]] = {}


def found_in(which: str, usage: Usage) -> dict[str, str]:
    """Chain or member → its docstring, for those that the bindings `which` have."""
    wanted = sorted(usage.chains | usage.guarded_chains | {*usage.members} | {*usage.guarded_members})
    if (which, *wanted) not in _answers:
        if which == "rtx":
            if importlib.util.find_spec(MODULES[which]) is None:
                pytest.skip("needs TensorRT-RTX: pip install 'trtkit[rtx]'")
            environment = {}
        else:
            environment = bindings_path(which.removeprefix("lean "), (MODULES | LEAN_MODULES)[which])
        done = subprocess.run(
            [sys.executable, "-c", ASK, (MODULES | LEAN_MODULES)[which]],
            input=json.dumps(wanted),
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert which in ("rtx", told["version"], f"lean {told['version']}")
        _answers[(which, *wanted)] = told["found"]
    return _answers[(which, *wanted)]


def takes(documentation: str, count: int) -> bool:
    """True if one of the docstring's signatures takes `count` arguments besides self."""
    lines = [line for line in documentation.splitlines() if "(self" in line and "->" in line]
    return any(least <= count <= most for least, most in map(argument_range, lines))


def argument_range(signature: str) -> tuple[int, int]:
    """Least and most arguments of 'name(self: X, a: int, b: Dict[str, int] = 0) -> Y', without self."""
    inside = signature[signature.index("(") + 1 : signature.rindex(") ->")]
    depth, arguments = 0, [""]
    for letter in inside:
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and depth == 0:
            arguments.append("")
        else:
            arguments[-1] += letter
    return sum("=" not in argument for argument in arguments) - 1, len(arguments) - 1


@pytest.mark.parametrize("which", MODULES)
def test_every_trt_name_in_the_source_exists(which, usage):
    assert {"Builder", "OnnxParser", "NetworkDefinitionCreationFlag.STRONGLY_TYPED"} <= usage.chains
    assert "BuilderFlag.VERSION_COMPATIBLE" in usage.chains
    assert {"IBuilderConfig.set_flag", "Runtime.engine_host_code_allowed"} <= usage.members.keys()
    assert usage.chains - found_in(which, usage).keys() == set()


@pytest.mark.parametrize("which", MODULES)
def test_every_member_of_tensorrt_s_objects_exists_and_takes_the_arguments_given(which, usage):
    found = found_in(which, usage)
    assert {"IProgressMonitor.step_complete", "ILogger.log", "Builder.create_network"} <= usage.members.keys()
    assert usage.members.keys() - found.keys() == set()
    wrong = {
        f"{member} with {count} arguments": found[member].strip().splitlines()[0]
        for member, counts in usage.members.items()
        for count in counts
        if count is not None and not takes(found[member], count)
    }
    assert wrong == {}


@pytest.mark.parametrize("which", LEAN_MODULES)
def test_the_lean_runtime_has_what_the_tensorrt_backend_asks_of_it(which):
    usage = read_usage(PACKAGE, LEAN)
    assert {"Runtime", "ILogger", "ExecutionContextAllocationStrategy.USER_MANAGED"} <= usage.chains
    found = found_in(which, usage)
    assert (usage.chains | usage.members.keys()) - found.keys() == set()


def test_what_stands_under_hasattr_exists_somewhere(usage):
    answers = [found_in(which, usage) for which in MODULES]
    for name in usage.guarded_chains | usage.guarded_members.keys():
        assert any(name in found for found in answers), name
    for member, counts in usage.guarded_members.items():
        for count in counts - {None}:
            assert any(takes(found.get(member, ""), count) for found in answers), f"{member} with {count} arguments"


def test_the_newer_modules_differ_from_tensorrt_10_as_the_source_expects(usage):
    """The guards are there for a reason: RTX alone names compute capabilities."""
    names = {which: found_in(which, usage) for which in MODULES}
    capability = "IBuilderConfig.set_compute_capability"
    assert capability in names["rtx"]
    assert capability not in names["10.16.1.11"]
    assert capability not in names["11.4.0.106"]
    for member in (
        "ICudaEngine.create_runtime_config",
        "IRuntimeConfig.cuda_graph_strategy",
        "IRuntimeCache.serialize",
    ):
        assert member in names["rtx"]
        assert member in usage.guarded_members
    assert {"IExecutionContext.execute_async_v3", "IExecutionContext.set_device_memory"} <= usage.members.keys()
    level = "HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY"
    assert level in names["10.16.1.11"]
    assert level in names["11.4.0.106"]


def test_the_tables_of_files_and_objects_are_in_use(usage):
    assert all((PACKAGE / name).is_file() for name in (*TALKERS, *RTX_ALONE))
    used = {member.partition(".")[0] for member in {*usage.members, *usage.guarded_members}}
    assert used >= set(OBJECTS.values())


@pytest.mark.parametrize("gone", ["trt.BuilderFlag.FP16", "trt.IInt8EntropyCalibrator2", "trt.NotThere"])
def test_a_name_that_tensorrt_11_dropped_would_be_found(tmp_path, gone):
    (tmp_path / "new.py").write_text(f"def flag(trt):\n    return {gone}\n")
    chain = gone.removeprefix("trt.")
    usage = read_usage(tmp_path)
    assert usage.chains == {chain}
    assert chain not in found_in("11.4.0.106", usage)


@pytest.mark.parametrize(
    ("signature", "accepted"),
    [
        ("f(self: X) -> int", {0}),
        ("f(self: X, a: int, b: Dict[str, int]) -> int", {2}),
        ("f(self: X, a: int, b: str = None) -> bool", {1, 2}),
        ("f(self: X, a: Tuple(int, int)) -> bool", {1}),
    ],
)
def test_signatures_are_read_from_docstrings(signature, accepted):
    assert {count for count in range(4) if takes(signature, count)} == accepted
