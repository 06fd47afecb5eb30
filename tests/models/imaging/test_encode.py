"""Files written: lossless where promised, one sentence where not possible, nothing half-written."""

import contextlib
import os
import subprocess

import numpy as np
import pytest

from trtkit.errors import Mistake
from trtkit.models.imaging.decode import decode, decode_bytes
from trtkit.models.imaging.encode import encode, write


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)


def test_png_is_lossless():
    rgba = noise(40, 50, 4)
    back = decode_bytes(encode(rgba, ".png"), "a.png")
    assert np.array_equal(back.rgb, rgba[..., :3])
    assert np.array_equal(back.alpha, rgba[..., 3])
    assert np.array_equal(decode_bytes(encode(rgba[..., :3], ".PNG"), "a.png").rgb, rgba[..., :3])
    assert np.array_equal(decode_bytes(encode(rgba[..., 0], ".png"), "a.png").rgb[..., 1], rgba[..., 0])


def test_webp_keeps_alpha_exactly():
    rgba = np.dstack([np.full((40, 50, 3), (200, 100, 50), np.uint8), noise(40, 50)])
    back = decode_bytes(encode(rgba, ".webp"), "a.webp")
    assert np.array_equal(back.alpha, rgba[..., 3])
    assert np.abs(back.rgb[back.alpha > 200].astype(int) - (200, 100, 50)).max() < 8


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_red_stays_red(suffix):
    red = np.full((32, 32, 3), (250, 10, 10), np.uint8)
    assert np.abs(decode_bytes(encode(red, suffix), "a").rgb.astype(int) - red).max() < 8
    assert decode_bytes(encode(red[..., 0], suffix), "a").rgb[0, 0, 2] > 240


def test_write(tmp_path):
    path = tmp_path / "deep" / "a.png"
    rgb = noise(5, 6, 3)
    write(path, rgb)
    assert np.array_equal(decode(path).rgb, rgb)
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["a.tiff", "a", "a.png.txt"])
def test_unknown_suffix_names_the_file_and_what_works(tmp_path, name):
    with pytest.raises(Mistake) as caught:
        write(tmp_path / name, noise(2, 2, 3))
    assert str(tmp_path / name) in str(caught.value)
    assert ".png, .webp, .jpg, .jpeg" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_no_alpha_in_a_jpeg(tmp_path):
    with pytest.raises(Mistake, match=r"is a JPEG, which has no transparency; write .png or .webp"):
        write(tmp_path / "a.jpg", noise(2, 2, 4))


def test_too_large_for_the_format(tmp_path):
    with pytest.raises(Mistake, match=r"would be 16384x1, and .webp holds 16383 pixels a side; write .png"):
        write(tmp_path / "a.webp", noise(1, 16384, 3))


@pytest.fixture
def tiny_disk(tmp_path):
    """A real file system of 64 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs the superuser")
    yield folder
    with contextlib.suppress(OSError):
        subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_one_sentence_and_leaves_nothing(tiny_disk):
    path = tiny_disk / "a.png"
    with pytest.raises(Mistake) as caught:
        write(path, noise(300, 300, 3))
    assert str(caught.value).startswith(f"no room left on the disk for {path};")
    assert not list(tiny_disk.iterdir())


def test_full_disk_keeps_the_older_file(tiny_disk):
    path = tiny_disk / "a.png"
    small = noise(30, 30, 3)
    write(path, small)
    with pytest.raises(Mistake, match="no room left"):
        write(path, noise(300, 300, 3))
    assert np.array_equal(decode(path).rgb, small)
    assert [p.name for p in tiny_disk.iterdir()] == ["a.png"]


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(Mistake, match="is a file, not a folder"):
        write(tmp_path / "a" / "b.png", noise(2, 2, 3))
