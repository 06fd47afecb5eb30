"""Who may stand beside ours in `bench run`: the same network on the same device, or a note. Nothing is timed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.serve.tiny import write_tiny
from trtkit import models
from trtkit.bench import contenders, torch_peers
from trtkit.bench.contenders import COMPILED, EAGER16, EAGER32, OURS, PLAIN, open_plain
from trtkit.bench.gpu_memory import UsedMemory
from trtkit.bench.peers import _Opening
from trtkit.bench.run import Settings, bench_run
from trtkit.bench.torch_peers import open_torch
from trtkit.errors import MissingComponent, Mistake
from trtkit.models.spec import NetworkSpec, TensorSpec

CV_UNET = models.get("cv_unet")
MATTING = CV_UNET.network("matting")
EMBEDDED = CV_UNET.embedded_dir / "matting.safetensors"


def bench(root: Path, photo: Path, **more: Any):
    return bench_run(Settings(backend="cpu", batches=(1,), size=64, rounds=1, each=1, photo=photo, root=root, **more))


def test_pytorch_on_the_weights_of_the_package_is_no_peer_of_an_artifact_of_others(tmp_path, photo):
    report = bench(write_tiny(tmp_path), photo)
    assert set(report.steps[1]) == {OURS, PLAIN}
    path = tmp_path / "cv_unet" / "matting.fp32.onnx"
    said = f"{path} was made of other weights than those in the package; name its checkpoint with --weights"
    assert f"PyTorch is left out: {said}" in report.notes


def test_weights_that_the_artifact_was_not_made_of_are_refused(tmp_path, photo):
    with pytest.raises(
        Mistake, match=r"^--weights .*matting\.safetensors \(sha256 cdd3ebf5\) is not what .* was made of"
    ):
        bench(write_tiny(tmp_path), photo, weights=EMBEDDED)


def test_weights_that_the_artifact_was_made_of_are_a_peer(tmp_path, photo):
    report = bench(tmp_path, photo, weights=EMBEDDED)
    assert set(report.steps[1]) == {OURS, PLAIN, EAGER32}
    assert not [note for note in report.notes if "left out" in note]


@pytest.fixture
def opening():
    """opening(ours, spec) → where peers are tried whose results are to be near `ours`."""

    def make(ours: np.ndarray, spec: NetworkSpec = MATTING) -> _Opening:
        return _Opening(spec, {1: {}}, {1: ours.astype(np.float64)}, UsedMemory(0))

    return make


def test_a_peer_far_from_ours_is_left_out_and_one_of_the_same_network_in_int8_is_not(opening):
    ours = np.full((1, 64, 64, 1), 100, np.uint8)
    quantized = ours.copy()
    quantized[0, :2] = 205  # 105 in the worst pixel, 3.3 in the mean
    tried = opening(ours)
    tried.add("peers", lambda: {"int8": lambda _: {"alpha": quantized}, "other": lambda _: {"alpha": ours + 20}})
    assert set(tried.found.steps) == {"int8"}
    assert tried.found.agreement == {"int8": 105}
    assert tried.found.notes == [
        "other is left out: it is 20 grey levels from ours in the mean, so it computes another thing"
    ]


@pytest.mark.parametrize(("off", "taken"), [(0.0, True), (0.3, False), (float("nan"), False)])
def test_outputs_that_are_numbers_are_compared_by_shares_of_the_largest(opening, off, taken):
    spec = NetworkSpec("net", (), (TensorSpec("coeffs", "float32", ("N", 4), (-9, 9)),), relative=True)
    ours = np.array([[4.0, 0.1, -0.1, 0.0]])
    tried = opening(ours, spec)
    tried.add("peer", lambda: {"peer": lambda _: {"coeffs": ours + off}})
    assert (set(tried.found.steps) == {"peer"}) is taken


def test_a_peer_that_does_not_open_is_a_note(opening):
    def fail() -> dict:
        raise RuntimeError("protobuf\nparsing failed")

    tried = opening(np.zeros(1))
    tried.add(PLAIN, fail)
    assert tried.found.notes == [f"{PLAIN} is left out: protobuf parsing failed"]


class Session:
    """ONNX Runtime's session, as on a machine with its CUDA provider, which no test machine has."""

    asked: list[Any]
    starts = True

    def __init__(self, path: str, options: Any, providers: list[Any]) -> None:
        Session.asked = providers

    def get_providers(self) -> list[str]:
        names = [one if isinstance(one, str) else one[0] for one in Session.asked]
        return names if Session.starts else names[1:]

    def get_outputs(self) -> list[Any]:
        return []


@pytest.fixture
def cuda_provider(monkeypatch):
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(contenders, "provider_missing", lambda: None)


def test_onnx_runtime_runs_on_the_gpu_that_was_named(cuda_provider):
    open_plain(Path("some.onnx"), 1)
    assert Session.asked == [("CUDAExecutionProvider", {"device_id": "1"}), "CPUExecutionProvider"]


def test_onnx_runtime_that_falls_back_to_the_cpu_in_silence_is_refused(cuda_provider, monkeypatch):
    monkeypatch.setattr(Session, "starts", False)
    with pytest.raises(MissingComponent, match="ONNX Runtime's CUDA provider does not start here"):
        open_plain(Path("some.onnx"), 0)


class TorchWithGpus:
    """torch as on a machine with GPUs, which no test machine has: each is the CPU, and `asked` is which were wanted."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self.asked: list[tuple[Any, ...]] = []
        self.cuda = SimpleNamespace(is_available=lambda: True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def device(self, *named: Any) -> Any:
        self.asked.append(named)
        return self._torch.device("cpu")

    def compile(self, module: Any, **_: Any) -> Any:
        return module


def test_pytorch_runs_on_the_gpu_that_was_named(monkeypatch):
    torch = TorchWithGpus(pytest.importorskip("torch"))
    monkeypatch.setattr(torch_peers, "need", lambda *_: torch)
    found = open_torch(CV_UNET, MATTING, EMBEDDED, 1, True)
    assert found[EAGER32]({"image": np.zeros((1, 64, 64, 3), np.uint8)})["alpha"].shape == (1, 64, 64, 1)
    assert set(found) == {EAGER32, EAGER16, COMPILED}
    assert torch.asked == [("cuda", 1)]


def test_a_torch_without_gpus_is_said():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("torch here runs on GPUs")
    with pytest.raises(MissingComponent, match=r"^torch .* here does not run on GPUs; install its build for CUDA$"):
        open_torch(CV_UNET, MATTING, EMBEDDED, 0, False)
