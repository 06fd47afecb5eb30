"""Our network and its ONNX against TensorFlow running the frozen graph itself: at most 1 grey level anywhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import tensorflow_environment
from trtkit.models.dct_net import BACKGROUND
from trtkit.runtime.cpu import CpuBackend

torch = pytest.importorskip("torch")

SCRIPT = Path(__file__).parent / "tensorflow_cartoon.py"
REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "dctnet_real"
SIZES = ((4, 4), (16, 20), (64, 48), (96, 252), (288, 288), (720, 404))


def tensorflow(*arguments: object) -> None:
    command = [tensorflow_environment.python(), SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def pictures(portrait_pixels) -> dict[str, np.ndarray]:
    """The portrait, BGR, at every size, and noise at one."""
    bgr = portrait_pixels[..., ::-1]
    made = {f"{h}x{w}": cv2.resize(bgr, (w, h), interpolation=cv2.INTER_AREA) for h, w in SIZES}
    return made | {"noise": np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)}


@pytest.fixture(scope="module", params=["32 channels", "12 channels", "real background", "real head"])
def compared(request, pictures, tmp_path_factory) -> tuple[Path, dict[str, np.ndarray]]:
    """A frozen graph, and what TensorFlow makes of each picture with it."""
    folder = tmp_path_factory.mktemp("graph")
    if request.param.startswith("real"):
        graph = REAL / {"real background": "cartoon_bg.pb", "real head": "cartoon_h.pb"}[request.param]
        if not graph.is_file():
            pytest.skip(f"trained weights in the official form are not here ({graph.name} in ../shared/data)")
    else:
        graph = folder / "cartoon_bg.pb"
        tensorflow("freeze", graph, request.param.split()[0], 7)
    np.savez(folder / "in.npz", **pictures)
    tensorflow("run", graph, folder / "in.npz", folder / "out.npz")
    with np.load(folder / "out.npz") as cartoons:
        return graph, dict(cartoons)


def worst(wanted: np.ndarray, found: np.ndarray) -> int:
    assert wanted.shape == found.shape
    return int(np.abs(wanted.astype(int) - found).max())


def test_the_comparison_means_something(compared, pictures):
    """The graph's picture is neither flat nor saturated, nor simply its input."""
    cartoon = compared[1]["288x288"]
    assert cartoon.std() > 20
    assert ((cartoon == 0) | (cartoon == 254)).mean() < 0.5
    assert np.abs(cartoon.astype(int) - pictures["288x288"]).mean() > 5


def test_torch_gives_tensorflows_picture(compared, pictures):
    from trtkit.models.dct_net.source import load_source

    graph, cartoons = compared
    network = load_source("background", graph)
    with torch.inference_mode():
        for name, picture in pictures.items():
            assert worst(cartoons[name], network(torch.from_numpy(picture[None].copy())).numpy()[0]) <= 1, name


def test_the_exported_onnx_gives_tensorflows_picture(compared, pictures):
    from trtkit.export.torch_export import to_onnx
    from trtkit.models.dct_net.source import load_source

    graph, cartoons = compared
    onnx = to_onnx(load_source("background", graph), BACKGROUND, "dct_net", "0" * 64).SerializeToString()
    with CpuBackend(onnx) as network:
        for name, picture in pictures.items():
            assert worst(cartoons[name], network.run({"image": picture[None].copy()})["cartoon"][0]) <= 1, name
