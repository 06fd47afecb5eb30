"""A model's networks are exported together or not at all, and no verb runs half of one set beside half of another."""

from __future__ import annotations

import errno
import os
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
from PIL import Image

from trtkit import config, file_lock, manifest
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
        from pathlib import Path
        from trtkit import config
        from trtkit.export.ready import make
        named, replace = [], Path.replace
        def last(part, path):
            replace(part, path)
            named.append(path.name)
            if named[1:] == ["background.fp32.onnx", "background.fp32.onnx.json"]:  # after the mark
                os.kill(os.getpid(), signal.SIGKILL)
        Path.replace = last
        make("dct_net", None, {str(first)!r}, "fp32", Path({str(root)!r}), config.load())
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


def test_an_export_that_is_under_way_is_waited_for(tmp_path, checkpoints, monkeypatch):
    """By one who cannot write there, too: a container, say."""
    first, _ = checkpoints
    make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    with ThreadPoolExecutor(1) as pool:
        with unfinished.publishing(tmp_path / FOLDER), unfinished.marked_with(tmp_path / FOLDER, "trtkit export"):
            monkeypatch.setattr(file_lock, "_acquire", None)
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
    def late(folder):
        for path in (tmp_path / "other" / FOLDER).glob("background.*"):
            shutil.copy(path, folder)
        with real(folder):
            yield

    monkeypatch.setattr(unfinished, "publishing", late)
    with pytest.raises(Mistake, match=r"another export wrote .*background\.fp32\.onnx meanwhile; run this one again"):
        make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    assert not list((tmp_path / FOLDER).glob("head.*"))
    assert not unfinished.marked(tmp_path / FOLDER)


def test_a_full_disk_leaves_what_was_there_and_no_mark(tmp_path, checkpoints, monkeypatch):
    first, _ = checkpoints
    make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    before = content(tmp_path)
    real, count = os.fsync, []

    def full(descriptor):
        count.append(descriptor)
        if len(count) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Mistake, match=r"no room left on the disk for .*head\.fp32\.onnx"):
        make("dct_net", None, str(first), "fp32", tmp_path, config.load(), force=True)
    assert content(tmp_path) == before


def test_what_is_brought_beside_the_networks_may_fail_without_a_mark(tmp_path, checkpoints):
    first, _ = checkpoints
    folder = tmp_path / "weights"
    shutil.copytree(first, folder)
    for name in ("detector.pb", "keypoints.pb"):
        (folder / name).write_bytes(b"no graph")
    with pytest.raises(Mistake, match=r"--tf-python .*typo does not exist"):
        make("dct_net", None, str(folder), "fp32", tmp_path, config.load(), tf_python=tmp_path / "typo")
    assert "weights of your own" in ready("dct_net", None, None, tmp_path, config.load()).sentence


def test_the_command_that_is_named_is_the_export_that_was_stopped(tmp_path, checkpoints, monkeypatch):
    first, _ = checkpoints
    commands = []
    real = unfinished.marked_with

    @contextmanager
    def noted(folder, command):
        commands.append(command)
        with real(folder, command):
            yield

    monkeypatch.setattr(unfinished, "marked_with", noted)
    monkeypatch.chdir(first.parent)
    (first.parent / "photos").mkdir(exist_ok=True)
    Image.new("RGB", (40, 40), (90, 120, 200)).save(first.parent / "photos" / "a.png")
    make("dct_net", None, first.name, "fp16", Path("art"), config.load(), images=Path("photos"))
    ready("dct_net", None, "embedded", Path("art"), config.load())
    parent = first.parent
    assert commands == [
        f"trtkit export dct_net --weights {first} --precision fp16 --images {parent}/photos --out {parent}/art",
        f"trtkit build dct_net --weights embedded --out {parent}/art --gpu GPU",
    ]


def test_verify_says_it_too(trtkit, tmp_path, checkpoints):
    first, _ = checkpoints
    make("dct_net", None, str(first), "fp32", tmp_path, config.load())
    assert trtkit("verify", tmp_path).code == 0
    (tmp_path / FOLDER / unfinished.NAME).write_text("trtkit export dct_net\n")
    answer = trtkit("verify", tmp_path)
    assert answer.code == 2
    assert "failed  " in answer.out
    assert "run it again: trtkit export dct_net" in answer.out
    bench = trtkit("bench", "run", "dct_net", "--artifacts", tmp_path, "--backend", "cpu")
    assert bench.code == 2
    assert "run it again: trtkit export dct_net" in bench.err


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
