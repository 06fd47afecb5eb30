"""Kernel times that cannot be kept or read are no reason to throw a finished engine away."""

import logging
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from trtkit.build_engines.log_lines import logger
from trtkit.build_engines.tensorrt_rtx import module
from trtkit.build_engines.timing_cache import attach_timing_cache, keep_timing_cache

pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX: pip install 'trtkit[rtx]'")


@pytest.fixture
def settings():
    trt = module()
    return trt.Builder(logger(trt)).create_builder_config()


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX")  # it keeps the calls, as no-ops
def test_a_cache_that_cannot_be_written_is_a_note(settings, tmp_path, caplog):
    closed = tmp_path / ".cache"
    closed.write_text("a file where the folder belongs")
    with caplog.at_level(logging.WARNING, "trtkit"):
        attach_timing_cache(settings, closed / "timing.cache")
        keep_timing_cache(settings, closed / "timing.cache")
    assert caplog.messages == [
        f"note: kernel times are not kept for the next build: {closed} is a file, not a folder, so timing.cache "
        "cannot be written there; name a folder"
    ]


@pytest.fixture
def unreadable():
    """A file that this user may not read. root may read any: then with somebody else's eyes."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "timing.cache").touch(mode=0)
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    yield folder / "timing.cache"
    os.seteuid(user)
    shutil.rmtree(folder)


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX")
def test_a_cache_that_cannot_be_read_is_an_empty_one(settings, unreadable):
    attach_timing_cache(settings, unreadable)
    assert settings.get_timing_cache() is not None
