"""The way from a front to the hub and back, both in this process: tensors, errors, what is withdrawn and counted."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from trtkit import config as configuration
from trtkit import models
from trtkit.errors import Mistake
from trtkit.serve.fronts import aggregation
from trtkit.serve.fronts.aggregation import Aggregation
from trtkit.serve.fronts.channel import Channel
from trtkit.serve.fronts.memory import Pool
from trtkit.serve.fronts.model_recipe import recipe
from trtkit.serve.fronts.network_info import info_of
from trtkit.serve.fronts.platform_support import check_processes
from trtkit.serve.fronts.shared_gauges import NETWORKS, UNDER_WAY, SharedGauge, SharedGauges
from trtkit.serve.opening import Source
from trtkit.serve.refusal import Gone, Refused
from trtkit.serve.ticket import Ticket, carried

from .hands import Hold, eventually, image


def ticket(seconds: float = 30) -> Ticket:
    return Ticket(time.monotonic() + seconds, seconds)


def test_tensors_of_any_size_come_back_as_the_network_gives_them_and_memory_is_used_again(hub):
    made = hub()
    front = made.front()
    for side in (4, 700, 4, 5, 700):
        arrays = {"image": np.random.default_rng(side).integers(0, 256, (2, side, side, 3), np.uint8)}
        np.testing.assert_array_equal(front.run(arrays)["alpha"], arrays["image"][..., :1])
    assert made.said("new") == 2, "one segment for each size, small ones alike"


def test_runs_at_once_keep_their_own_tensors(hub):
    front = hub(0.001).front()
    futures = [front.submit(image(value, 64)) for value in range(100)]
    for value, future in enumerate(futures):
        assert (future.result(20)["alpha"] == value).all()


def test_outputs_larger_than_the_inputs_come_in_memory_of_their_own_and_fit_the_next_time(hub, network, monkeypatch):
    large = {"alpha": np.arange(100_000, dtype=np.float32).reshape(1, -1), "more": np.ones((1, 3), bool)}
    monkeypatch.setattr(type(network), "run", lambda self, arrays: large)
    made = hub()
    front = made.front()
    for _ in range(3):
        outputs = front.run(image())
        np.testing.assert_array_equal(outputs["alpha"], large["alpha"])
        assert outputs["more"].dtype == bool
        assert outputs["more"].all()
    sizes = [content[1] for word, *content in made.words if word == "new"]
    assert sizes == [1 << 16, 1 << 19], "the second run brings enough, and so has the third"


def test_what_a_network_is_not_made_for_is_said_as_without_a_hub(hub):
    front = hub().front()
    with pytest.raises(Mistake, match="input 'image' is missing"):
        front.submit({})
    with pytest.raises(Mistake, match="input 'image' is float32"):
        front.submit({"image": np.zeros((1, 4, 4, 3), np.float32)})


def test_a_failed_run_and_an_open_breaker_are_refused_in_the_same_words(hub, network):
    def broken(_) -> None:
        raise RuntimeError("no luck")

    made = hub()
    front = made.front()
    network.before = broken
    with pytest.raises(Refused, match=r"network m/n failed \(no luck\)") as failed:
        front.run(image())
    assert failed.value.status == 503
    with pytest.raises(Refused, match="failed 1 times in a row") as refused:
        front.run(image())
    assert refused.value.status == 503
    assert refused.value.retry_after > 1


def test_a_front_hears_how_the_networks_and_the_whole_server_fare(hub, network):
    def broken(_) -> None:
        raise RuntimeError("no luck")

    made = hub()
    front = made.front()
    front.run(image())
    network.before = broken
    with pytest.raises(Refused):
        front.run(image())
    assert not front.breaker.open, "nobody has asked since"
    totals = asyncio.run(made.links[0].totals())
    assert (totals.answers, totals.stages) == ({("/v1", 200): 3}, {("m", "run"): (3, 0.5)})
    assert front.breaker.open
    assert front.breaker.reason == "failed 1 times in a row (last: no luck)"
    assert (front.counts.success, front.counts.failure, front.counts.by_size.keys()) == (1, 1, {1})
    assert front.counts.total_ns == made.batcher.counts.total_ns


def test_a_hub_that_does_not_answer_is_a_503(hub, monkeypatch):
    monkeypatch.setattr("trtkit.serve.fronts.link._ANSWER_SECONDS", 0.05)
    made = hub()
    made.front()
    made.answers = False
    with pytest.raises(Refused, match="hub does not answer") as said:
        asyncio.run(made.links[0].totals())
    assert said.value.status == 503


def test_who_hangs_up_while_waiting_costs_no_run(hub, network):
    made = hub()
    front, hold = made.front(), Hold(network)
    first = front.submit(image(1))
    assert hold.entered.wait(20)
    leaves = ticket()
    with carried(leaves):
        second = front.submit(image(2))
    eventually(lambda: made.said("run") == 2)
    leaves.hang_up()
    eventually(lambda: made.said("gone") == 1)
    hold.release.set()
    assert (first.result(20)["alpha"] == 1).all()
    with pytest.raises(Gone):
        second.result(20)
    assert (network.batches, made.batcher.counts.dropped) == ([1], 1)
    assert not leaves.when_gone, "a request that is done is not followed any more"


def test_who_is_out_of_time_while_waiting_costs_no_run(hub, network):
    made = hub()
    front, hold = made.front(), Hold(network)
    first = front.submit(image())
    assert hold.entered.wait(20)
    with carried(ticket(0.05)):
        second = front.submit(image())
    time.sleep(0.1)
    hold.release.set()
    first.result(20)
    with pytest.raises(Refused, match=r"not done within the time limit of 0\.05 s"):
        second.result(20)
    assert network.batches == [1]


def test_a_batch_waits_for_a_request_that_another_front_announced(hub, network):
    made = hub(delay=20)
    one, other = made.front(), made.front()
    coming = ticket()
    other.announce(coming)
    first = one.submit(image(1))
    eventually(lambda: made.batcher._looking == 1)  # it waits, and not only lies there
    with carried(coming):
        second = other.submit(image(2))
    assert (first.result(10)["alpha"] == 1).all()
    assert (second.result(10)["alpha"] == 2).all()
    assert network.batches == [2]
    assert made.gauges.total(NETWORKS) == 0


def test_a_lone_request_waits_for_nobody_and_one_that_does_not_come_is_not_waited_for(hub, network):
    made = hub(delay=60)
    one, other = made.front(), made.front()
    lone = ticket()
    one.announce(lone)
    with carried(lone):
        one.submit(image()).result(10)
    never = ticket()
    other.announce(never)
    waiting = one.submit(image())
    eventually(lambda: made.batcher.depth == 1)
    never.withdraw()
    waiting.result(10)
    assert network.batches == [1, 1]


def test_what_a_dead_front_had_waiting_is_withdrawn_and_the_others_go_on(hub, network):
    made = hub()
    dies, stays = made.front(), made.front()
    hold = Hold(network)
    first = stays.submit(image(1))
    assert hold.entered.wait(20)
    dies.submit(image(2))
    eventually(lambda: made.batcher.depth == 1)
    second = stays.submit(image(3))
    eventually(lambda: made.batcher.depth == 2)
    made.handlers[0].close()
    hold.release.set()
    assert (first.result(20)["alpha"] == 1).all()
    assert (second.result(20)["alpha"] == 3).all()
    assert (network.batches, made.batcher.counts.dropped) == ([1, 1], 1)


def test_a_front_that_does_not_read_holds_nobody_up_for_long():
    ours, theirs = Channel.pair(0.05)
    much = [("word", b"x" * 100_000)] * 200
    with theirs, pytest.raises(BlockingIOError):
        ours.send(*much)
    ours.close()


def test_messages_come_whole_and_in_order_whatever_pieces_they_travel_in():
    ours, theirs = Channel.pair(2.0)
    told = [("first", 1, 2.5, (("image", (1, 2, 3), 0),)), ("second", "x" * 200_000), ("third", None)]
    sender = threading.Thread(target=lambda: Channel(theirs).send(*told))
    sender.start()
    heard: list[tuple] = []
    while len(heard) < 3:
        heard += ours.receive() or []
    sender.join()
    assert heard == told
    theirs.close()
    assert ours.receive() is None
    ours.close()


def test_free_memory_is_kept_up_to_a_bound(monkeypatch):
    monkeypatch.setattr("trtkit.serve.fronts.memory._KEPT", 3 << 16)
    gone: list[int] = []
    pool = Pool(lambda segment, descriptor: None, gone.append)
    taken = [pool.take(1000) for _ in range(4)]
    for segment in taken:
        pool.give_back(segment)
    assert gone == [4]
    again = [pool.take(1000) for _ in range(3)]
    assert {segment.number for segment in again} == {1, 2, 3}
    pool.give_back(again[0])
    pool.trim()
    assert gone == [4, again[0].number]
    assert pool.take(1000).number == 5


def test_places_are_counted_exactly_over_processes():
    gauges = SharedGauges.new(3, 0)
    code = (
        "import sys; from trtkit.serve.fronts.shared_gauges import UNDER_WAY, SharedGauges;"
        f"gauges = SharedGauges(3, 4, {gauges.descriptor});"
        "print(sum(gauges.add_below(int(sys.argv[1]), UNDER_WAY, 2500) for _ in range(2000)))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(front)], pass_fds=(gauges.descriptor,), stdout=subprocess.PIPE, text=True
        )
        for front in range(3)
    ]
    taken = [int(process.communicate(timeout=60)[0]) for process in running]
    assert sum(taken) == gauges.total(UNDER_WAY) == 2500
    gauges.clear(0)
    assert gauges.total(UNDER_WAY) == 2500 - taken[0]
    gauges.close()


def test_counts_are_everybodys_and_a_front_that_died_counts_on():
    made, heard = Aggregation(), []
    asked: list[tuple[int, int]] = []

    def ask(*fronts: int) -> None:
        made.ask({front: lambda question, f=front: asked.append((f, question)) for front in fronts}, heard.append)

    ask(1, 2)
    made.told(1, 1, ({("/v1", 200): 3}, {("m", "run"): (3, 1.5)}))
    assert heard == []
    made.told(2, 1, ({("/v1", 200): 4, ("/v1", 400): 1}, {("m", "run"): (4, 0.5)}))
    assert heard == [({("/v1", 200): 7, ("/v1", 400): 1}, {("m", "run"): (7, 2.0)})]
    made.leaves(2)
    ask(1, 3)
    made.told(1, 2, ({("/v1", 200): 5}, {}))
    made.leaves(3)  # before it could say anything
    assert heard[1][0] == {("/v1", 200): 9, ("/v1", 400): 1}
    assert asked == [(1, 1), (2, 1), (1, 2), (3, 2)]


def test_a_front_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(aggregation, "_PATIENCE", 0.0)
    made, heard = Aggregation(), []
    made.told(1, 0, ({("/v1", 200): 3}, {}))
    made.ask({1: lambda question: None}, heard.append)
    assert made.look() is None
    assert heard == [({("/v1", 200): 3}, {})]


def test_a_connection_is_left_to_who_has_fewer():
    from trtkit.serve.fronts.accepting import _wait_turn

    gauges = SharedGauges.new(2, 0)
    mine = SharedGauge(gauges, 0, 3)
    mine.add(2)
    assert mine.excess == 2
    gauges.add(1, 3, 2)
    assert mine.excess == 0
    _wait_turn(mine)
    gauges.close()


def test_a_front_makes_the_models_that_the_hub_has(tmp_path):
    source = Source(models.get("dct_net"), tmp_path, configuration.load())
    for mode, choices in ((None, ("fast", "fine")), ("fast", ("fast",))):
        made = pickle.loads(pickle.dumps(recipe(source, mode))).make()
        assert made.networks == source.model.networks
        assert next(option for option in made.served if option.name == "mode").choices == choices


@pytest.mark.parametrize(("fronts", "places"), [(1, 16), (2, 16), (3, 11), (8, 4), (100, 1)])
def test_fronts_hold_no_more_pictures_together_than_twice_what_keeps_the_network_busy(hub, fronts, places):
    batcher = hub().batcher
    assert batcher.places == 16
    assert info_of(batcher, fronts).places == places


def test_the_networks_memory_is_given_back_when_a_front_asks_for_it(hub, network, monkeypatch):
    trimmed = threading.Event()
    monkeypatch.setattr(type(network), "trim", lambda self: trimmed.set(), raising=False)
    made = hub()
    front = made.front()
    front.run(image())
    front.trim()
    assert trimmed.wait(20)
    eventually(lambda: made.said("forget") == 1)


@pytest.mark.parametrize("processes", [0, -3])
def test_no_processes_at_all_are_a_mistake(processes):
    with pytest.raises(Mistake, match=f"--processes is {processes}; right would be 1"):
        check_processes(processes)


def test_a_system_whose_processes_share_no_memory_this_way_says_so(monkeypatch):
    monkeypatch.delattr(socket, "CMSG_SPACE")
    check_processes(1)
    with pytest.raises(Mistake, match="--processes 2 needs Unix sockets that hand on memory"):
        check_processes(2)


@pytest.mark.parametrize("system", ["with memfd_create", "without"])
def test_memory_has_no_name_and_is_gone_with_its_last_user(monkeypatch, system):
    from trtkit.serve.fronts.memory import Segment, anonymous

    if system == "without":  # macOS
        monkeypatch.delattr(os, "memfd_create", raising=False)
    before = len(os.listdir("/dev/fd"))
    descriptor = anonymous(4096)
    ours, theirs = Segment(1, 4096, os.dup(descriptor)), Segment(1, 4096, descriptor)
    array = ours.array((3,), "<i4", 64)
    array[:] = (1, 2, 3)
    np.testing.assert_array_equal(theirs.array((3,), "<i4", 64), (1, 2, 3))
    with pytest.raises(TypeError):
        ours.array((5000,), "uint8", 0)
    del ours, theirs
    np.testing.assert_array_equal(array, (1, 2, 3))
    del array
    assert len(os.listdir("/dev/fd")) == before
