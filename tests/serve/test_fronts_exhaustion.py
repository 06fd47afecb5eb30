"""Servers of several processes that are short of something: descriptors, memory, room in a socket, processes."""

from __future__ import annotations

import errno
import gc
import logging
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from trtkit.errors import CheckFailed, Mistake
from trtkit.serve.fronts import hub as hub_module
from trtkit.serve.fronts import memory
from trtkit.serve.fronts.channel import Channel
from trtkit.serve.fronts.memory import Pool, Segment, anonymous
from trtkit.serve.fronts.request_handler import RequestHandler
from trtkit.serve.fronts.shared_gauges import CONNECTIONS, SharedGauge, SharedGauges
from trtkit.serve.refusal import Refused

from .hands import image


def none_left() -> OSError:
    return OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def fails_once(real: Callable, error: BaseException) -> Callable:
    left = [error]

    def call(*given, **named):
        if left:
            raise left.pop()
        return real(*given, **named)

    return call


def test_a_request_for_which_no_memory_can_be_shared_is_refused_and_the_next_is_served(hub, monkeypatch):
    front = hub().front()
    monkeypatch.setattr(memory, "anonymous", fails_once(anonymous, none_left()))
    with pytest.raises(Refused, match=r"no memory could be shared .*Too many open files.*try again") as said:
        front.run(image())
    assert said.value.status == 503
    assert (front.run(image(3))["alpha"] == 3).all()


def test_memory_that_the_hub_cannot_map_costs_the_request_alone(hub, monkeypatch):
    made = hub()
    front = made.front()
    monkeypatch.setattr("trtkit.serve.fronts.request_handler.Segment", fails_once(Segment, none_left()))
    with pytest.raises(Refused, match="no memory could be shared") as said:
        front.submit(image()).result(20)
    assert said.value.status == 503
    assert (front.submit(image(3)).result(20)["alpha"] == 3).all()
    assert made.said("new") == 2, "the segment that the hub does not have is not used again"


@pytest.mark.parametrize(
    ("place", "works"),
    [("request_handler.anonymous", anonymous), ("link.Segment", Segment)],
    ids=["the hub has no memory for it", "the front cannot map it"],
)
def test_an_answer_that_cannot_be_shared_ends_its_request(hub, network, monkeypatch, place, works):
    """Else its place in the queue is lost for ever."""
    large = {"alpha": np.zeros((1, 100_000), np.uint8)}
    front = hub().front()
    front.run(image())
    monkeypatch.setattr(type(network), "run", lambda self, arrays: large)
    monkeypatch.setattr(f"trtkit.serve.fronts.{place}", fails_once(works, none_left()))
    with pytest.raises(Refused, match="no memory could be shared") as said:
        front.submit(image()).result(20)
    assert said.value.status == 503
    assert front.submit(image()).result(20)["alpha"].shape == (1, 100_000)


@pytest.mark.parametrize("broken", ["truncate", "dup", "tell_new"])
def test_memory_that_could_not_be_made_leaves_no_descriptor(monkeypatch, broken):
    def fail(*_) -> None:
        raise none_left()

    gc.collect()  # what earlier tests have left
    before = len(os.listdir("/dev/fd"))
    pool = Pool(fail if broken == "tell_new" else lambda segment, descriptor: None, lambda number: None)
    if broken != "tell_new":
        monkeypatch.setattr(os, broken, fail)
    with pytest.raises(OSError, match="Too many open files"):
        pool.take(1000)
    monkeypatch.undo()
    assert len(os.listdir("/dev/fd")) <= before


def test_a_descriptor_that_could_not_be_received_is_an_error_of_its_own_message_alone():
    """In a process of its own: nobody else opens or closes anything there."""
    pytest.importorskip("resource")
    code = """
import os, resource
from trtkit.serve.fronts.channel import Channel
ours, theirs = Channel.pair(2.0)
other = Channel(theirs)
read, write = os.pipe()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
fillers = [os.dup(read) for _ in range(20)]
other.send(("first",), descriptor=read)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(fillers) + 1, hard))
assert ours.receive() == [("first",)]
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
other.send(("second",), descriptor=write)
assert ours.receive() == [("second",)]
try:
    ours.descriptor()
except OSError as error:
    print(error.strerror)
second = ours.descriptor()
print(os.fstat(second).st_ino == os.fstat(write).st_ino, os.write(second, b"x"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("Too many open files\nTrue 1\n", "")


def test_a_way_on_which_half_a_message_went_carries_no_more():
    """What followed would be read as the rest of it."""
    ours, theirs = Channel.pair(0.05)
    with pytest.raises(BlockingIOError):
        ours.send(*[("word", b"x" * 100_000)] * 200)
    other = Channel(theirs)
    heard: list[tuple] = []
    while select.select([other], (), (), 0)[0]:
        heard += other.receive() or []
    with pytest.raises(OSError):  # noqa: PT011  # whichever
        ours.send(("more",))
    ours.close()
    assert other.receive() is None
    assert set(heard) == {("word", b"x" * 100_000)}
    other.close()


def test_memory_is_handed_on_to_one_that_does_not_read_as_patiently_as_words():
    ours, theirs = Channel.pair(0.05)
    descriptor = anonymous(4096)
    done: list[BaseException] = []

    def send() -> None:
        try:
            for _ in range(200):
                ours.send(("word", b"x" * 100_000), descriptor=descriptor)
        except OSError as error:
            done.append(error)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    sender.join(20)
    held_up = sender.is_alive()
    theirs.shutdown(socket.SHUT_RDWR)
    sender.join()
    theirs.close()
    ours.close()
    os.close(descriptor)
    assert not held_up
    assert isinstance(done[0], BlockingIOError)


def test_channels_work_with_descriptors_of_any_number():
    """select(2) knows the first 1024 only."""
    resource = pytest.importorskip("resource")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1100:
        pytest.skip("fewer descriptors are allowed here")
    import fcntl

    ours, theirs = socket.socketpair()
    high = Channel(socket.socket(fileno=fcntl.fcntl(ours, fcntl.F_DUPFD, 1050)), 0.05)
    ours.close()
    with theirs, pytest.raises(BlockingIOError):
        high.send(*[("word", b"x" * 100_000)] * 200)
    high.close()


def test_readiness_asks_the_hub_alone(hub):
    """A front that is slow to say what it counted must not make a supervisor end the server."""
    import asyncio

    made = hub()
    front = made.front()
    made.answers = False
    front.run(image())
    made.batcher.breaker.bad("no luck")
    asyncio.run(made.links[0].refresh())
    assert front.breaker.open
    assert front.counts.success == 1
    assert made.said("ask") == 0


def test_fronts_that_cannot_be_started_at_all_are_one_sentence(monkeypatch):
    def fail() -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(hub_module, "spawn", fail)
    with pytest.raises(CheckFailed, match=r"a front process could not be started \(Resource temporarily unavailable\)"):
        hub_module.Hub(2)


_SERVES = """
import socket
from trtkit.serve.fronts.channel import Channel
way = Channel(socket.socket(fileno={}))
way.send(("listening",))
while ("drain",) not in (way.receive() or [("drain",)]):
    continue
"""


class Spawns:
    """Front processes that serve as long as `serve` says so, and else end at once."""

    def __init__(self) -> None:
        self.serve = True
        self.processes: list[subprocess.Popen[bytes]] = []

    def __call__(self) -> tuple[subprocess.Popen[bytes], Channel]:
        channel, theirs = Channel.pair(2.0)
        code = _SERVES.format(theirs.fileno()) if self.serve else "raise SystemExit(3)"
        with theirs:
            process = subprocess.Popen([sys.executable, "-c", code], pass_fds=(theirs.fileno(),))
        self.processes.append(process)
        return process, channel


@pytest.fixture
def spawns(monkeypatch) -> Spawns:
    made = Spawns()
    monkeypatch.setattr(hub_module, "spawn", made)
    monkeypatch.setattr(hub_module, "_ANEW_SECONDS", 0.001)
    return made


def serve_with(ready: Callable[[Spawns], None], spawns: Spawns) -> None:
    started = hub_module.Hub(2)
    try:
        with socket.socket() as bound:
            start = SimpleNamespace(fronts=2, settings=SimpleNamespace(limits=SimpleNamespace(drain=5)))
            started.serve([], start, bound, lambda: ready(spawns))  # type: ignore[arg-type]
    finally:
        started.close()
    assert all(process.returncode is not None for process in spawns.processes), "a zombie"


def test_a_server_that_gets_no_front_any_more_ends_with_a_sentence(spawns):
    """Its clients would wait in the backlog for ever, and no supervisor would know."""

    def all_die(spawns: Spawns) -> None:
        spawns.serve = False
        for process in spawns.processes:
            process.kill()

    sentence = r"no front process serves any more, and none could be started 5 times in a row \(the last: exit 3\)"
    with pytest.raises(CheckFailed, match=sentence):
        serve_with(all_die, spawns)
    assert 2 + 5 <= len(spawns.processes) <= 2 + 2 * 5


def test_a_front_that_cannot_be_started_again_leaves_the_others_alone(spawns, monkeypatch):
    tries: list[float] = []

    def one_dies(spawns: Spawns) -> None:
        monkeypatch.setattr(hub_module, "spawn", fail)
        spawns.processes[0].kill()

    def fail() -> None:
        tries.append(time.monotonic())
        if len(tries) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    serve_with(one_dies, spawns)
    assert len(tries) == 7
    assert tries[-1] - tries[0] >= 0.001 * (1 + 2 + 4 + 8 + 16 + 32), "each time later"


def test_the_hub_may_have_the_descriptors_that_its_user_may_have(monkeypatch):
    resource = pytest.importorskip("resource")
    from trtkit.serve.fronts import run

    allowed: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: allowed.append(limits))
    for limits in ((1024, 4096), (1024, 1 << 30), (1024, resource.RLIM_INFINITY), (4096, 4096), (1 << 20, 1 << 20)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=limits: limits)
        run._allow_descriptors()
    assert allowed == [(4096, 4096), (1 << 16, 1 << 30), (1 << 16, resource.RLIM_INFINITY)]


def test_a_small_request_with_a_large_answer_does_not_make_the_next_ones_ask_for_too_much(hub, network, monkeypatch):
    """An answer of one size whatever came: what it was over the inputs says nothing of a large input."""
    answer = {"alpha": np.zeros((1, 1 << 20), np.uint8)}
    monkeypatch.setattr(type(network), "run", lambda self, arrays: answer)
    made = hub()
    front = made.front()
    for side in (1, 1, 1000):
        front.run(image(side=side))
    sizes = [content[1] for word, *content in made.words if word == "new"]
    assert sizes == [1 << 16, 1 << 20, 1 << 22]


def test_a_front_that_is_ended_for_not_reading_is_said_so(caplog, monkeypatch):
    """Else the log has a signal 9 of nobody, as if the machine were short of memory."""
    monkeypatch.setattr(logging.getLogger("trtkit.serve"), "propagate", True)
    ours, theirs = Channel.pair(0.05)
    ended: list[bool] = []
    handler = RequestHandler([], ours, lambda: ended.append(True))
    with theirs:
        while not ended:
            handler.words["how"](1)
    assert [record.getMessage() for record in caplog.records] == [
        "a front process has not read what it was sent, and is ended"
    ]
    handler.words["how"](1)
    assert len(ended) == 2
    assert len(caplog.records) == 1, "it has ended by itself then"
    handler.close()


def test_figures_of_the_processes_that_cannot_be_had_end_nothing(monkeypatch):
    def fail(pids) -> None:
        raise ValueError("no such line")

    monkeypatch.setattr(hub_module, "of_processes", fail)
    made = hub_module.Hub(0)
    made._networks = []
    ours, theirs = Channel.pair(2.0)
    made._ask(hub_module._Front(1, 0, SimpleNamespace(pid=1), ours), 7)  # type: ignore[arg-type]
    made._pause()
    other = Channel(theirs)
    assert other.receive() == [("totals", 7, {"answers": {}, "stages": {}, "networks": [], "process": {}})]
    other.close()
    ours.close()


def test_a_front_that_cannot_have_its_models_says_so_in_one_sentence():
    code = """
import sys
from trtkit.errors import Mistake
from trtkit.serve.fronts import front
def none(start, row, channel):
    raise Mistake("it is gone; right would be to export it again")
front._serve = none
front.main(int(sys.argv[1]))
"""
    channel, theirs = Channel.pair(2.0)
    with theirs:
        command = [sys.executable, "-c", code, str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), stderr=subprocess.PIPE, text=True)
    start = SimpleNamespace(settings=SimpleNamespace(access_log=False))
    channel.send(("start", 0, pickle.dumps(start)))
    channel.send(("listen",))
    said = process.communicate(timeout=60)[1]
    channel.close()
    assert said == "trtkit: a front process cannot serve: it is gone; right would be to export it again\n"
    assert process.returncode == Mistake.exit_code


def test_connections_that_cannot_be_taken_are_said_once_in_a_while(caplog, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn")
    from trtkit.serve.fronts import accepting

    class Listening:
        tries = 0

        def accept(self) -> None:
            self.tries += 1
            raise none_left() if self.tries < 6 else OSError(errno.EINVAL, "the hub has shut it")

    monkeypatch.setattr(accepting, "_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(logging.getLogger("trtkit.serve"), "propagate", True)
    listening, gauges = Listening(), SharedGauges.new(1, 0)
    settings = uvicorn.Config(lambda: None)
    server = accepting.make_server(settings, listening, SharedGauge(gauges, 0, CONNECTIONS), lambda: None)  # type: ignore[arg-type]
    server._accept()
    assert listening.tries == 6
    assert [one.getMessage() for one in caplog.records] == [
        "connections cannot be taken: [Errno 24] Too many open files"
    ]
    gauges.close()
