"""Mistakes of the command line that no verb's own tests have: each ends in one sentence, before anything is loaded."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

WRONG_ARTIFACTS = "trtkit: --artifacts gone does not exist; name the folder that export and build wrote to"


@pytest.fixture
def folder(in_empty_folder) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30)).save(name)
    Path("empty").mkdir()
    Path("notes.txt").write_bytes(b"\xff no UTF-8")
    return in_empty_folder


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("infer a.png --artifacts gone", WRONG_ARTIFACTS),
        ("evaluate cv_unet --artifacts gone", WRONG_ARTIFACTS),
        ("serve --artifacts gone", WRONG_ARTIFACTS),
        ("bench run --artifacts gone", WRONG_ARTIFACTS),
        ("bench serve --artifacts gone", WRONG_ARTIFACTS),
        (
            "infer a.png --artifacts notes.txt",
            "trtkit: --artifacts notes.txt is a file; name the folder that export and build wrote to",
        ),
        (
            "infer a.png b.png -o one.png",
            "trtkit: --out one.png names a picture; name a folder, since results may be several",
        ),
        ("export cv_unet --images empty", "trtkit: --images empty holds no photograph"),
        ("export cv_unet --images gone", "trtkit: --images gone is not a folder; name a folder of photographs"),
        ("doctor --config gone.yaml", "trtkit: --config gone.yaml cannot be read: it does not exist; check the name"),
        (
            "doctor --config notes.txt",
            "trtkit: --config notes.txt cannot be read: it is not UTF-8; save it as UTF-8 text",
        ),
        ("doctor --config empty", "trtkit: --config empty cannot be read: Is a directory; check its kind"),
        ("serve --api-keys gone", "trtkit: --api-keys gone cannot be read: it does not exist; check the name"),
        (
            "inspect a.png",
            "trtkit: a.png is neither an ONNX file nor an engine; name one that trtkit made",
        ),
        ("serve --host nowhere.invalid --no-auth", "trtkit: --host nowhere.invalid is not known ("),
        (
            "serve --host 192.0.2.1 --no-auth",  # of a block that is given to nobody
            "trtkit: --host 192.0.2.1 --port 8000 cannot be listened on (Cannot assign requested address); "
            "give an address of this machine, or 0.0.0.0 for all of them",
        ),
    ],
)
def test_a_mistake_is_one_sentence(trtkit, folder, command, sentence):
    before = sorted(path.name for path in folder.iterdir())
    answer = trtkit(*command.split())
    assert answer.code in (2, 3)
    assert answer.err.splitlines()[-1].startswith(sentence)
    assert not answer.out
    assert sorted(path.name for path in folder.iterdir()) == before


def test_artifacts_that_are_to_be_made_need_not_be_there(trtkit, folder):
    answer = trtkit("infer", "a.png", "--weights", "embedded", "--artifacts", "new", "--backend", "cpu")
    assert answer.code == 0, answer.err
    assert Path("a.cutout.png").is_file()


def test_photographs_alone_do_not_ask_for_torch(trtkit, in_empty_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    answer = trtkit("bench", "host")
    assert answer.code == 3
    assert answer.err.rstrip().endswith("install it with: pip install scikit-image")


def test_a_server_without_its_libraries_says_so_before_it_loads_a_model(trtkit, in_empty_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    answer = trtkit("serve")
    assert answer.code == 3
    assert answer.err.startswith("trtkit: trtkit serve needs the Python package 'starlette'")
    assert answer.err.rstrip().endswith("install it with: pip install 'trtkit[serve]'")


def test_a_name_that_no_file_can_have_is_one_sentence(trtkit, in_empty_folder):
    for command in ("verify", "inspect"):
        answer = trtkit(command, "a" * 300 + ".onnx")
        assert answer.code == 2
        assert re.search(r"a\.onnx cannot be (read|used): File name too long; check", answer.out + answer.err)
    answer = trtkit("infer", "a.png", "--artifacts", "a" * 300)
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    assert answer.err.startswith(f"trtkit: {'a' * 300} cannot be used: File name too long; check the name and its perm")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_takes_nothing_is_one_sentence():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "trtkit.cli", "models"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert done.returncode == 2
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("trtkit: the output cannot be written: No space left on device; check what it is")


def test_a_stop_from_the_keyboard_is_said(in_empty_folder):
    # A background shell hands on "ignored".
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.argv = ['trtkit', 'calibrate', 'cv_unet']; from trtkit import cli; cli.main()"
    )
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        assert process.stderr.readline().startswith("cv_unet: embedded weights")  # it has begun
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "trtkit: stopped; nothing half-made was kept"
