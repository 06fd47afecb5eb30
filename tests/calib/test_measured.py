import threading
from concurrent.futures import ThreadPoolExecutor

from trtkit.calib import measured


def _of(device: str) -> measured.Record:
    return measured.Record(
        backend="cuda",
        device=device,
        capability="8.6",
        images=1,
        shape=[1],
        rounds=1,
        forms={},
        int8_over_fp16=None,
    )


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
