"""A model's networks are exported together or not at all, and no verb runs half of one set beside half of another."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from trtkit import config, manifest
from trtkit.errors import Mistake
from trtkit.export import unfinished
from trtkit.export.ready import make, ready

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402

FOLDER = "dct_net"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> tuple[Path, Path]:
    """Two folders of DCT-Net's two networks; in the second, the head's has NaN in it."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    from trtkit import models
    from trtkit.models.dct_net.network import Generator, GeneratorConfig

    torch.manual_seed(0)
    for network in models.get("dct_net").networks:
        for folder in (first, second):
            small = Generator(GeneratorConfig(channels=4, blocks=1))
            save_file(small.state_dict(), folder / f"{network.name}.safetensors")
    state = load_file(second / "head.safetensors")
    next(iter(state.values())).fill_(float("nan"))
    save_file(state, second / "head.safetensors")
    return first, second


def content(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / FOLDER).iterdir())}


def test_an_export_that_fails_at_its_second_network_changes_nothing(tmp_path, checkpoints):
    first, second = checkpoints
    made = make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    assert [one.made for one in made.exported] == [True, True]
    before = content(tmp_path)
    with pytest.raises(Mistake, match="NaN or infinity"):
        make("dct_net", None, str(second), "fp32", tmp_path, config.load())
    assert content(tmp_path) == before
    with pytest.raises(Mistake, match="NaN or infinity"):
        make("dct_net", None, str(second), "fp32", tmp_path / "new", config.load())
    assert not (tmp_path / "new").exists()


def test_an_export_that_was_killed_between_two_networks_is_said_until_it_is_run_again(tmp_path, checkpoints):
    first, _ = checkpoints
    root = tmp_path / "my art"
    code = f"""
        import os, signal
        from trtkit import config, manifest
        from trtkit.export.ready import make
        publish = manifest.publish
        def last(artifact, content, made):
            publish(artifact, content, made)
            os.kill(os.getpid(), signal.SIGKILL)
        manifest.publish = last
        make("dct_net", None, {str(first)!r}, "fp32", __import__("pathlib").Path({str(root)!r}), config.load())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(Mistake) as raised:
        ready("dct_net", None, None, root, config.load())
    command = f"run it again: trtkit export dct_net --weights {first} --out '{root}'"
    assert str(raised.value).endswith(command)
    again = make("dct_net", None, str(first), "fp32", root, config.load())
    assert {one.made for one in again.exported} == {False, True}
    assert "weights of your own" in ready("dct_net", None, None, root, config.load()).sentence
    assert not (root / FOLDER / unfinished.NAME).exists()


@pytest.mark.parametrize("left", ["nothing", "embedded"])
def test_half_a_set_of_weights_is_not_filled_up_with_the_packages(tmp_path, checkpoints, left):
    first, _ = checkpoints
    make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    for path in (tmp_path / FOLDER).glob("head.*"):
        path.unlink()
    if left == "embedded":
        ready("dct_net", None, "embedded", tmp_path / "other", config.load())
        embedded = make("dct_net", None, "embedded", "fp32", tmp_path / "other", config.load())
        for path in embedded.exported[1].path, manifest.path_of(embedded.exported[1].path):
            shutil.copy(path, tmp_path / FOLDER)
    with pytest.raises(Mistake) as raised:
        ready("dct_net", None, None, tmp_path, config.load())
    assert "has networks of file weights, but none of them for head; export all of them again: trtkit export" in str(
        raised.value
    )
    assert "embedded weights" in ready("dct_net", None, "embedded", tmp_path, config.load()).sentence


def test_what_is_no_whole_set_is_not_packaged(trtkit, tmp_path, checkpoints):
    first, _ = checkpoints
    make("dct_net", None, str(first), "fp16", tmp_path, config.load())
    arguments = ("package", "triton", "dct_net", "--artifacts", tmp_path, "--gpu", "v100", "--out", tmp_path / "triton")
    mark = tmp_path / FOLDER / unfinished.NAME
    mark.write_text("trtkit export dct_net\n")
    answer = trtkit(*arguments)
    assert answer.code == 2
    assert "since an export into it was stopped; run it again: trtkit export dct_net" in answer.err
    mark.unlink()
    assert trtkit(*arguments).code == 0
    for path in (tmp_path / FOLDER).glob("head.*"):
        path.unlink()
    answer = trtkit(*arguments)
    assert answer.code == 2
    assert "but none of them for head" in answer.err


def test_an_export_that_is_under_way_is_waited_for(tmp_path, checkpoints):
    first, _ = checkpoints
    make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    with ThreadPoolExecutor(1) as pool:
        with unfinished.publishing(tmp_path / FOLDER, "trtkit export dct_net"):
            waiting = pool.submit(ready, "dct_net", None, None, tmp_path, config.load())
            time.sleep(0.3)
            assert not waiting.done()
        assert "weights of your own" in waiting.result(timeout=30).sentence


def test_what_another_export_wrote_meanwhile_is_not_mixed_with(tmp_path, checkpoints, monkeypatch):
    """This one found the background up to date, the other one replaces it before this one publishes the head."""
    first, _ = checkpoints
    make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    for path in (tmp_path / FOLDER).glob("head.*"):
        path.unlink()
    make("dct_net", None, "embedded", "fp32", tmp_path / "other", config.load())
    real = unfinished.publishing

    @contextmanager
    def late(folder, command):
        for path in (tmp_path / "other" / FOLDER).glob("background.*"):
            shutil.copy(path, folder)
        with real(folder, command):
            yield

    monkeypatch.setattr(unfinished, "publishing", late)
    with pytest.raises(Mistake, match=r"another export wrote .*background\.fp32\.onnx meanwhile; run this one again"):
        make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    assert not list((tmp_path / FOLDER).glob("head.*"))


def test_the_weights_of_the_package_put_a_mark_away(tmp_path, checkpoints):
    first, _ = checkpoints
    make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    (tmp_path / FOLDER / unfinished.NAME).write_text("trtkit export dct_net\n")
    with pytest.raises(Mistake, match=r"run it again: trtkit export dct_net$"):
        ready("dct_net", None, None, tmp_path, config.load())
    ready("dct_net", None, "embedded", tmp_path, config.load())
    assert not (tmp_path / FOLDER / unfinished.NAME).exists()


def test_a_mark_beside_nothing_but_the_packages_networks_goes_too(tmp_path):
    make("dct_net", None, "embedded", "fp32", tmp_path, config.load())
    (tmp_path / FOLDER / unfinished.NAME).write_text("trtkit export dct_net --weights gone\n")
    ready("dct_net", None, "embedded", tmp_path, config.load(), publish=False)
    with pytest.raises(Mistake, match="was stopped"):
        ready("dct_net", None, None, tmp_path, config.load())
    ready("dct_net", None, "embedded", tmp_path, config.load())
    assert "embedded weights" in ready("dct_net", None, None, tmp_path, config.load()).sentence


def test_a_damaged_chain_gives_way_to_an_export(tmp_path, checkpoints):
    first, _ = checkpoints
    make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    (tmp_path / FOLDER / "chain.json").write_text("{half")
    make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    assert not (tmp_path / FOLDER / "chain.json").exists()
