"""Folders whose names are bytes that are not UTF-8: Linux takes them, ONNX Runtime does not."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.toy_network import toy_network
from trtkit.bench.contenders import open_plain
from trtkit.errors import Mistake
from trtkit.export import unfinished
from trtkit.models.imported.host import HostWork
from trtkit.runtime.cpu import CpuBackend


@pytest.fixture
def folder(tmp_path) -> Path:
    made = Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xe9"))
    try:
        made.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    return made


def test_networks_load_from_there(folder):
    onnx = folder / "net.onnx"
    onnx.write_bytes(toy_network())
    with CpuBackend(onnx) as backend:
        image = {name: np.zeros((1, 64, 64, 3), kind) for name, (kind, _) in backend.inputs.items()}
        first = backend.run(image)
        backend.trim()
        assert all(np.array_equal(first[name], value) for name, value in backend.run(image).items())
    for found in (HostWork(onnx).run(image), open_plain(onnx, None)(image)):
        assert {name: value.shape for name, value in found.items()} == {name: one.shape for name, one in first.items()}


def test_an_export_that_was_stopped_there_names_its_command(folder):
    command = f"trtkit export cv_unet --out '{folder}'"
    with pytest.raises(KeyboardInterrupt), unfinished.publishing(folder), unfinished.marked_with(folder, command):
        raise KeyboardInterrupt
    with pytest.raises(Mistake) as raised:
        unfinished.check(folder)
    assert str(raised.value).endswith(f"since an export into it was stopped; run it again: {command}")


def test_a_picture_is_cut_out_with_artifacts_there(trtkit, folder, portrait, in_empty_folder):
    made = trtkit("build", "cv_unet", "--gpu", "h200", "--precision", "fp32", "--out", folder / "art")
    assert made.code == 0, made.err
    answer = trtkit("infer", portrait, "-o", "a.png", "--artifacts", folder / "art", "--backend", "cpu")
    assert answer.code == 0, answer.err
    assert Path("a.png").is_file()
