"""`trtkit infer -m dct_net` as a user runs it, on a narrow random network, and what it takes of memory."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.models.dct_net.published import publish
from trtkit.models.dct_net.pipeline import Cartoon
from trtkit.runtime import select


@pytest.fixture
def root(tmp_path, onnx_files):
    for name, onnx in onnx_files.items():
        publish(tmp_path / "artifacts", name, onnx)
    return tmp_path / "artifacts"


def test_a_portrait_becomes_a_cartoon_and_its_stages_are_told(trtkit, portrait, root, in_empty_folder):
    answer = trtkit("infer", portrait, "-m", "dct_net", "--artifacts", root, "-o", "out.png")
    assert answer.code == 0, answer.err
    with Image.open("out.png") as image:
        assert (image.mode, image.size) == ("RGB", (512, 512))
    assert "faces by OpenCV's Haar cascade" in answer.err
    for said in ("faces ", "background ", "heads ", "paste ", "encode "):
        assert said in answer.out


def test_alpha_of_the_file_is_in_the_result(trtkit, portrait_pixels, root, in_empty_folder):
    alpha = np.zeros((512, 512, 1), np.uint8)
    alpha[100:, :300] = 130
    Image.fromarray(np.concatenate([portrait_pixels, alpha], axis=2)).save("in.png")
    answer = trtkit("infer", "in.png", "-m", "dct_net", "--artifacts", root, "--no-faces", "--mode", "fine")
    assert answer.code == 0, answer.err
    assert "Haar" not in answer.err
    np.testing.assert_array_equal(np.asarray(Image.open("in.cartoon.png"))[..., 3], alpha[..., 0])


def transparent(rgb, path, alpha=130):
    Image.fromarray(np.dstack([rgb, np.full(rgb.shape[:2], alpha, np.uint8)])).save(path)


@pytest.mark.parametrize("arguments", [("a.png", "-o", "x.jpg"), ("a.png", "b.png", "--format", "jpg", "-o", "out")])
def test_transparency_for_a_jpeg_is_refused_before_a_network_is_loaded(
    trtkit, portrait_pixels, root, in_empty_folder, monkeypatch, arguments
):
    for name in ("a.png", "b.png"):
        transparent(portrait_pixels, name)
    monkeypatch.setattr(select, "load", lambda *_, **__: pytest.fail("a network was loaded"))
    answer = trtkit("infer", *arguments, "-m", "dct_net", "--artifacts", root)
    target = arguments[2] if arguments[1] == "-o" else "out/a.cartoon.jpg"
    sentence = f"trtkit: {target} is a JPEG, which has no transparency; write .png or .webp\n"
    assert (answer.code, answer.out, answer.err) == (2, "", sentence)


def test_a_transparent_picture_among_others_is_refused_before_it_is_drawn(
    trtkit, portrait_pixels, root, in_empty_folder, monkeypatch
):
    transparent(portrait_pixels, "a.png")
    transparent(portrait_pixels, "b.png", alpha=255)
    Image.fromarray(portrait_pixels).save("c.jpg")
    drawn = []
    draw = Cartoon.run
    monkeypatch.setattr(Cartoon, "run", lambda self, batch, clock: drawn.extend(batch) or draw(self, batch, clock))
    answer = trtkit("infer", "a.png", "b.png", "c.jpg", "-m", "dct_net", "--artifacts", root, "--format", "jpg")
    assert answer.code == 2
    assert "failed: a.cartoon.jpg is a JPEG, which has no transparency; write .png or .webp\n" in answer.err
    assert sorted(path.name for path in in_empty_folder.glob("*.cartoon.*")) == ["b.cartoon.jpg", "c.cartoon.jpg"]
    assert len(drawn) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--max-memory", "lots"), "--max-memory lots is not an amount of memory; right would be for example 1GiB"),
        (("--max-memory", "1MiB"), "--max-memory 1 MiB is too little for a tile of 256x256"),
        (("--head-mask", "no.jpg"), "no.jpg does not exist"),
        (("--size", "128"), "--size is not an option of dct_net"),
        (("--alpha-only",), "--alpha-only is not an option of dct_net"),
    ],
)
def test_a_wrong_option_is_one_sentence(trtkit, portrait, root, in_empty_folder, arguments, sentence):
    answer = trtkit("infer", portrait, "-m", "dct_net", "--artifacts", root, *arguments)
    assert answer.code == 2
    assert answer.err.startswith(f"trtkit: {sentence}")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    "option", [("--mode", "fast"), ("--no-faces",), ("--max-memory", "1GiB"), ("--head-mask", "a")]
)
def test_matting_has_none_of_these_options(trtkit, portrait, in_empty_folder, option):
    answer = trtkit("infer", portrait, "-m", "cv_unet", *option)
    assert answer.code == 2
    assert f"{option[0]} is not an option of cv_unet" in answer.err


def peak_beyond_pixels(root, folder, width, height, rgb):
    """Bytes that a fresh `infer` of a picture of that size takes at its peak, less its pixels in and out.

    Linux's own high-water mark: what getrusage tells of a child begins at the size of the process that started it.
    """
    picture = folder / f"{width}.jpg"
    large = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(0).integers(-9, 10, (height // 8, width, 3), np.int8)
    for top in range(0, height, height // 8):
        band = large[top : top + height // 8]
        band[:] = np.clip(band.astype(np.int16) + noise[: len(band)], 0, 255)
    Image.fromarray(large).save(picture, quality=95)
    code = """
        import re, sys
        from pathlib import Path
        from trtkit import cli
        try:
            cli.app(standalone_mode=False)
        finally:
            print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), "infer", picture, "-m", "dct_net", "--mode", "fine"]
    command += ["--max-memory", "1GiB", "--artifacts", root, "-o", folder / "out.png"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    with Image.open(folder / "out.png") as image:
        assert image.size == (width, height)
    return int(done.stderr.split()[-1]) * 1024 - 2 * width * height * 3


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's account of a process's memory")
def test_48_megapixels_take_hardly_more_memory_than_6(root, tmp_path, portrait_pixels):
    small = peak_beyond_pixels(root, tmp_path, 3000, 2000, portrait_pixels)
    large = peak_beyond_pixels(root, tmp_path, 8000, 6000, portrait_pixels)
    assert large < 2**30
    # Not even one more copy of the picture. A share of the smaller figure would say as much of what the network takes,
    # which differs from processor to processor.
    assert large < small + 8000 * 6000 * 3, f"{large / 2**20:.0f} MiB beside {small / 2**20:.0f} MiB"
