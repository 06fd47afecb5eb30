"""One suite of an unmodified tritonclient, against a real tritonserver and against trtkit serve."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

uvicorn = pytest.importorskip("uvicorn", reason="needs the 'serve' extra")

from tests import triton_environment  # noqa: E402
from trtkit import models  # noqa: E402
from trtkit.models.imaging.decode import decode  # noqa: E402
from trtkit.models.pipeline import StageClock  # noqa: E402
from trtkit.package import folder, triton  # noqa: E402
from trtkit.runtime.cpu import CpuBackend  # noqa: E402
from trtkit.serve.access import Keys  # noqa: E402
from trtkit.serve.app import make_app  # noqa: E402
from trtkit.serve.limits import Limits  # noqa: E402
from trtkit.serve.opening import Source, open_service  # noqa: E402

from . import zoo  # noqa: E402

SUITE = Path(__file__).parent / "client_suite.py"
TESTS_OF_THE_SUITE = 129


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory) -> Path:
    return zoo.write(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def photo(tmp_path_factory, portrait_pixels) -> Path:
    """The astronaut at half her size: the head is large enough for a network at 256 x 256."""
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    Image.fromarray(portrait_pixels).resize((256, 256)).save(path, quality=95)
    return path


@contextmanager
def _trtkit(artifacts: Path, folder_: Path) -> Iterator[str]:
    """trtkit serve's application under its own HTTP server, in a thread."""
    sources = [Source(model, artifacts, zoo.settings()) for model in (models.get("cv_unet"), zoo.MODEL)]
    service = open_service(sources, "cpu", [0], Limits(workers=2, seconds=60))
    settings = uvicorn.Config(make_app(service, Keys([])), port=0, http="httptools", log_config=None)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        for _ in range(2000):
            if server.started:
                break
            time.sleep(0.01)
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def _tritonserver(artifacts: Path, folder_: Path) -> Iterator[str]:
    """A real tritonserver on what `trtkit package triton --python` makes of the same artifacts."""
    package = triton.make([models.get("cv_unet"), zoo.MODEL], artifacts, [], None, zoo.settings(), python=True)
    folder.write(folder_ / "package", package.files, lambda sums: b"{}")
    with triton_environment.tritonserver(folder_ / "package" / "python", folder_) as url:
        yield url


SERVERS = {"trtkit": _trtkit, "tritonserver": _tritonserver}


@pytest.fixture(scope="module", params=SERVERS)
def ran(request, artifacts, photo, tmp_path_factory) -> tuple[subprocess.CompletedProcess, Path]:
    """The suite's run against one server, and the folder of the pictures that came back."""
    place = tmp_path_factory.mktemp(request.param)
    python = triton_environment.python()
    with SERVERS[request.param](artifacts, place) as url:
        command = [python, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", "-c", os.devnull]
        done = subprocess.run(
            [*command, "--import-mode=importlib", "--rootdir", place, SUITE],
            env={**os.environ, "SUITE_URL": url, "SUITE_OUT": str(place), "SUITE_PHOTO": str(photo)},
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    return done, place


def test_the_whole_client_suite_passes(ran):
    done, _ = ran
    assert done.returncode == 0, done.stdout[-6000:]
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|skipped)", done.stdout)}
    assert counts == {"passed": TESTS_OF_THE_SUITE}


def test_the_cut_out_is_the_pipelines_own(ran, photo):
    """To the last pixel where ONNX Runtime is the same; tritonserver's Python has another version of it."""
    _, place = ran
    model = models.get("cv_unet")
    with CpuBackend(model.embedded_onnx("matting")) as backend:
        pipeline = model.open_pipeline({"matting": backend}, {"size": 256}, 9)
        item = pipeline.prepare(decode(photo), StageClock())
        alone = pipeline.finish(item, pipeline.run([item], StageClock())[0], StageClock())
    served = np.asarray(Image.open(place / "cutout.png"))
    assert np.abs(served.astype(int) - alone).max() <= 1
