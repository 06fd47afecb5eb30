"""The Dockerfile, as far as it can be proven where no image can be built: it is parsed by Docker's own parser, what it
copies is there and is enough to install and serve, and its health check tells a ready server from none."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

dockerfile = pytest.importorskip("dockerfile", reason="needs the 'dev' extra")

ROOT = Path(__file__).parent.parent
COMMANDS = dockerfile.parse_file(str(ROOT / "Dockerfile"))
TARGETS = ("cpu", "cuda", "tensorrt")


def stages() -> dict[str, list]:
    """Name of each stage → its commands, FROM first."""
    found: dict[str, list] = {}
    for command in COMMANDS:
        if command.cmd.upper() == "FROM":
            _, word, name = command.value
            assert word.upper() == "AS"
            found[name] = []
        if found:
            found[name].append(command)
    return found


STAGES = stages()


def of(stage: str, kind: str) -> list:
    return [command for command in STAGES[stage] if command.cmd.upper() == kind]


def base(stage: str) -> str:
    return of(stage, "FROM")[0].value[0]


def lineage(stage: str) -> list[str]:
    """The stage and those it is made from."""
    found = [stage]
    while base(found[-1]) in STAGES:
        found.append(base(found[-1]))
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_runs_as_nobody_special_with_a_health_check(target):
    (user,) = of(target, "USER")
    assert int(user.value[0]) > 0
    (health,) = of(target, "HEALTHCHECK")
    assert health.json
    assert health.value[0] == "CMD"
    assert "/v2/health/ready" in health.value[-1]
    (entry,) = of(target, "ENTRYPOINT")
    assert entry.json
    assert entry.value[:2] == ("trtkit", "serve")
    after_user = STAGES[target][STAGES[target].index(user) + 1 :]
    assert not [command for command in after_user if command.cmd.upper() == "RUN"]


def test_cpu_is_what_is_built_without_a_target():
    assert list(STAGES)[-1] == "cpu"


def test_stages_come_from_images_that_are_named_at_the_top_or_from_earlier_stages():
    arguments = {command.value[0].split("=")[0] for command in COMMANDS if command.cmd.upper() == "ARG"}
    known: list[str] = []
    for stage, commands in STAGES.items():
        assert base(stage) in known or base(stage).strip("${}") in arguments
        for copy in (command for command in commands if command.cmd.upper() == "COPY"):
            for flag in copy.flags:
                assert flag.removeprefix("--from=") in known
        known.append(stage)


def test_what_is_compiled_with_the_toolkit_runs_on_the_same_cuda():
    images = dict(command.value[0].split("=") for command in COMMANDS if command.cmd.upper() == "ARG")
    assert images["CUDA_BUILD_IMAGE"].replace("devel", "runtime") == images["CUDA_IMAGE"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_installs_its_extras_and_they_exist(target):
    (copy,) = of(target, "COPY")
    assert copy.value == ("/opt/trtkit", "/opt/trtkit")
    built = copy.flags[0].removeprefix("--from=")
    runs = [command.value[0] for stage in lineage(built) for command in of(stage, "RUN")]
    asked = next(filter(None, (re.fullmatch(r"pip install -c constraints.txt '\.\[([a-z,]+)\]'", run) for run in runs)))
    extras = asked[1].split(",")
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {target, "serve"} <= set(extras) <= set(known)
    assert not {"cpu", "cuda"} <= set(extras)  # they overwrite each other's files


def copied() -> list[str]:
    """What comes from the build context."""
    return [source for stage in STAGES for copy in of(stage, "COPY") if not copy.flags for source in copy.value[:-1]]


def test_what_is_copied_is_there_and_passes_the_ignore_file():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert set(copied()) == kept
    for source in copied():
        assert (ROOT / source).exists()


def context(folder: Path) -> Path:
    """What the build would see of `copied()`, by the ignore file's patterns of any depth."""
    ignored = [line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().splitlines() if "**/" in line]

    def skip(_: str, names: list[str]) -> list[str]:
        return [name for name in names for pattern in ignored if fnmatch.fnmatch(name, pattern)]

    for source in dict.fromkeys(copied()):
        path = ROOT / source
        if path.is_dir():
            shutil.copytree(path, folder / source, ignore=skip, symlinks=True)
        else:
            shutil.copy(path, folder / source)
    return folder


def test_no_weights_are_in_the_context_but_the_packages_own_networks(tmp_path):
    large = [path for path in context(tmp_path).rglob("*") if path.is_file() and path.stat().st_size > 1 << 19]
    assert {path.suffix for path in large} <= {".onnx", ".js"}
    assert all("embedded" in path.parts for path in large if path.suffix == ".onnx")


def with_folder(arguments: Sequence[str], folder: Path) -> list[str]:
    """The entry point's arguments with `folder`, made empty as the image makes it, where the image's own would be."""
    folder.mkdir()
    return [str(folder) if argument == "/artifacts" else argument for argument in arguments]


@pytest.mark.parametrize("target", TARGETS)
def test_the_folder_that_is_served_is_made_for_the_user_that_serves(target):
    """Named but not there, it would be refused: a container with nothing mounted serves the package's own networks."""
    (entry,) = of(target, "ENTRYPOINT")
    assert entry.value[entry.value.index("--artifacts") + 1] == "/artifacts"
    (user,) = of(target, "USER")
    runs = [command.value[0] for stage in lineage(target) for command in of(stage, "RUN")]
    assert [run for run in runs if f"install --directory --owner={user.value[0]} /artifacts" in run]


def test_the_context_is_enough_to_install_and_to_serve(tmp_path):
    """The cpu target without its container: the package built from what is copied, its entry point and health check."""
    pytest.importorskip("uvicorn", reason="needs the 'serve' extra")
    pytest.importorskip("setuptools", reason="builds the package without a registry")
    source = tmp_path / "src"
    source.mkdir()
    installed = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--target", installed, context(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (entry,) = of("cpu", "ENTRYPOINT")
    arguments = [*with_folder(entry.value[1:], tmp_path / "artifacts"), "--api-keys", str(tmp_path / "keys")]
    arguments[arguments.index("--port") + 1] = str(port)
    (tmp_path / "keys").write_text("a-key-of-some-length\n")
    program = f"import sys; sys.path.insert(0, {str(installed)!r}); from trtkit.cli import main; main()"
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-P", "-c", program, *arguments], cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        (health,) = of("cpu", "HEALTHCHECK")
        check = [sys.executable, *health.value[2:]]
        check[-1] = check[-1].replace(":8000/", f":{port}/")
        assert check[-1].count(str(port)) == 1
        until = time.monotonic() + 60
        while subprocess.run(check, capture_output=True, check=False).returncode != 0:
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.2)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2", timeout=5)
    finally:
        server.terminate()
        server.wait(20)
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0


def test_reached_by_others_it_wants_keys(tmp_path):
    (entry,) = of("cpu", "ENTRYPOINT")
    environment = {name: value for name, value in os.environ.items() if name != "TRTKIT_API_KEYS"}
    done = subprocess.run(
        [sys.executable, "-m", "trtkit.cli", *with_folder(entry.value[1:], tmp_path / "artifacts")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 2
    assert "--host 0.0.0.0 can be reached by others, and there are no API keys" in done.stderr
