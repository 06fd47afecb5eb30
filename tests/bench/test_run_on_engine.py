"""`bench run` where the backend is an engine on a GPU. The GPU is the fake one, and ONNX Runtime's CUDA provider stands
on the CPU here: no test machine has either. Nothing is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bench.fake_gpu import ENGINE, ONNX, ORDINAL, engine_under, load_engine
from trtkit.bench import peers
from trtkit.bench.contenders import ALONE, IN_PLACE, OURS, PLAIN, open_plain
from trtkit.bench.gpu_memory import UsedMemory
from trtkit.bench.run import Report, Settings, bench_run
from trtkit.errors import Mistake
from trtkit.runtime import device as devices
from trtkit.runtime import machine, pycuda_api, select

Bench = Callable[..., Report]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photo: Path) -> Iterator[Bench]:
    """bench(**settings) → the report of an engine on the fake GPU."""
    engine_under(tmp_path)

    def load(model, spec, root, backend, *, device, slots):  # type: ignore[no-untyped-def]
        return load_engine(root, slots)

    monkeypatch.setattr(select, "load", load)
    standing: dict[str, Any] = {"batches": (1, 2), "size": 64, "rounds": 1, "each": 2, "photo": photo, "root": tmp_path}
    yield lambda **more: bench_run(Settings(**(standing | more)))
    devices._devices.pop(ORDINAL, None)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, int | None]]:
    """Which files plain ONNX Runtime was opened on, and for which GPU; it runs on the CPU."""
    asked: list[tuple[Path, int | None]] = []

    def on_the_cpu(onnx: Path, ordinal: int | None):  # type: ignore[no-untyped-def]
        asked.append((onnx, ordinal))
        return open_plain(onnx, None)

    monkeypatch.setattr(peers, "open_plain", on_the_cpu)
    return asked


def test_the_peers_run_the_onnx_that_the_engine_was_built_from_on_the_same_gpu(bench, opened, tmp_path):
    report = bench(device=3)
    assert report.artifact == str(tmp_path / "cv_unet" / ENGINE)
    assert opened == [(tmp_path / "cv_unet" / ONNX, 3)]
    assert all(PLAIN in found for found in report.steps.values())
    assert report.agreement == {PLAIN: 0}


def test_an_engine_without_its_onnx_is_measured_without_those_peers_and_says_so(bench, opened, tmp_path):
    (tmp_path / "cv_unet" / ONNX).unlink()
    report = bench()
    assert set(report.steps[1]) == {OURS, IN_PLACE, ALONE}
    assert any(f"{PLAIN} is left out: " in note and f"which {ENGINE} was built from" in note for note in report.notes)
    assert opened == []


def test_another_onnx_than_the_engine_s_is_no_peer(bench, opened, tmp_path):
    path = tmp_path / "cv_unet" / ENGINE
    record = peers.manifest.read(path)
    other = record.model_copy(update={"made_of": record.made_of.model_copy(update={"onnx_sha256": "b" * 64})})
    peers.manifest.publish(path, path.read_bytes(), other)
    report = bench()
    assert f"{PLAIN} is left out: {ENGINE} was built from another {ONNX} than lies beside it; build it again" in (
        report.notes
    )
    assert opened == []


def test_an_onnx_runtime_of_the_cpu_is_no_peer_of_a_gpu(bench, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    report = bench()
    assert PLAIN not in report.steps[1]
    assert any(note.startswith(f"{PLAIN} is left out: onnxruntime ") and "CPU build" in note for note in report.notes)


def test_memory_is_what_was_taken_since_the_start(monkeypatch):
    """pycuda's driver is made up: of 100 bytes, 60 are another process's."""
    free = [40, 25, 30]
    context = SimpleNamespace(push=lambda: None, pop=lambda: None, detach=lambda: None)
    driver = SimpleNamespace(
        Device=lambda ordinal: SimpleNamespace(retain_primary_context=lambda: context),
        mem_get_info=lambda: (free.pop(0), 100),
    )
    monkeypatch.setattr(machine, "lacks", lambda *_: None)
    monkeypatch.setattr(pycuda_api, "driver", lambda: driver)
    with UsedMemory(1) as memory:
        assert (memory.used(), memory.used()) == (15, 10)
    assert memory.used() == 0


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_three_lines_are_ours_whatever_the_slots(bench, slots):
    report = bench(slots=slots, peers=False)
    assert set(report.steps[1]) == {OURS, IN_PLACE, ALONE}
    assert set(report.throughput[1]) == {1, slots}
    assert set(report.alone) == {1, 2}


def test_of_the_usual_batch_sizes_those_that_no_profile_admits_are_left_out_with_a_note(bench):
    report = bench(batches=None, peers=False)
    assert set(report.steps) == {1, 2, 4}
    assert report.batches == (1, 2, 4)
    (note,) = [note for note in report.notes if "batch" in note]
    assert note.startswith("batch 8 is left out: input 'image' of shape 8x64x64x3 is outside every profile; allowed: ")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"batches": (1, 8)}, "^--batch 8 with --size 64: input 'image' of shape 8x64x64x3 is outside every profile"),
        ({"batches": None, "size": 96}, "^--size 96: input 'image' of shape 1x96x96x3 is outside every profile"),
    ],
)
def test_what_was_named_and_no_profile_admits_is_refused(bench, settings, sentence):
    with pytest.raises(Mistake, match=sentence):
        bench(peers=False, **settings)
