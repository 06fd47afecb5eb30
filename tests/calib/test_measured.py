import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trtkit.calib import measured
from trtkit.errors import Mistake

SPEED = measured.Speed(median=1.5, least=1.4, greatest=1.6)


def _of(
    device: str, forms: dict[str, str] | None = None, mae: float = 0.5, speed: measured.Speed | None = None
) -> measured.Record:
    """`forms`: precision → sha256 of its ONNX."""
    return measured.Record(
        backend="cuda",
        device=device,
        capability="8.6",
        images=1,
        shape=[1],
        rounds=1,
        forms={
            kind: measured.Form(onnx_sha256=sha256, figures={"mae": mae}, seconds=0.001)
            for kind, sha256 in (forms or {}).items()
        },
        int8_over_fp16=speed,
    )


@pytest.mark.parametrize("later", [["fp32", "fp16"], ["fp32", "int8"], ["fp32"], ["int8"]])
def test_a_later_evaluation_keeps_what_it_does_not_measure_itself(tmp_path, later):
    path = tmp_path / "net.evaluation.json"
    measured.keep(path, _of("A10", {"fp16": "half", "int8": "eight"}, mae=9.0, speed=SPEED))
    sha256 = {"fp32": "full", "fp16": "half", "int8": "eight"}
    measured.keep(path, _of("A10", {kind: sha256[kind] for kind in later}, mae=0.1))
    (record,) = measured.read(path)
    assert {kind: form.onnx_sha256 for kind, form in record.forms.items()} == {
        kind: sha256[kind] for kind in sha256 if kind in {"fp16", "int8", *later}
    }
    assert {kind: form.figures["mae"] for kind, form in record.forms.items()} == {
        kind: 0.1 if kind in later else 9.0 for kind in record.forms
    }
    assert record.int8_over_fp16 == SPEED


@pytest.mark.parametrize("later", [{"fp16": "another half"}, {"fp32": "full", "int8": "another eight"}])
def test_a_speed_goes_with_the_two_forms_that_it_is_of(tmp_path, later):
    path = tmp_path / "net.evaluation.json"
    measured.keep(path, _of("A10", {"fp16": "half", "int8": "eight"}, speed=SPEED))
    measured.keep(path, _of("A10", later))
    (record,) = measured.read(path)
    assert record.int8_over_fp16 is None
    assert {"fp16", "int8"} <= record.forms.keys()


def test_int8_figures_that_are_kept_do_not_become_newer_than_those_of_another_device(tmp_path):
    path = tmp_path / "net.evaluation.json"
    measured.keep(path, _of("A10", {"int8": "eight"}, mae=9.0))
    measured.keep(path, _of("L4", {"int8": "eight"}, mae=0.5))
    measured.keep(path, _of("A10", {"fp16": "half"}))
    assert measured.figures_of(path, "eight") == {"mae": 0.5}
    measured.keep(path, _of("A10", {"int8": "eight"}, mae=8.0))
    assert measured.figures_of(path, "eight") == {"mae": 8.0}


def test_records_that_cannot_be_read_are_a_sentence(tmp_path, monkeypatch):
    def refuse(path):  # stands in for a file of another user: root may read them all
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "net.evaluation.json"
    measured.keep(path, _of("A10"))
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(Mistake, match=r"net\.evaluation\.json cannot be read: "):
        measured.read(path)


def test_two_evaluations_at_once_lose_no_record(tmp_path, monkeypatch):
    """Each waits after its reading until the other has read, too, which it must not before this one has written."""
    path, read, both = tmp_path / "toy" / "net.evaluation.json", measured.read, threading.Barrier(2)

    def read_and_wait(*arguments):
        found = read(*arguments)
        try:
            both.wait(0.2)
        except threading.BrokenBarrierError:
            both.reset()
        return found

    monkeypatch.setattr(measured, "read", read_and_wait)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(measured.keep, [path] * 2, [_of("first"), _of("second")]))
    assert {record.device for record in read(path)} == {"first", "second"}
    assert [left.name for left in path.parent.iterdir()] == [path.name], "no lock stays"
