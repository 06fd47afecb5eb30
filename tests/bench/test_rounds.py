"""The arithmetic of rounds; nothing here is timed."""

import pytest

from trtkit.bench.rounds import Timing, interleave, ratio


def test_statistics():
    timing = Timing(({"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 6.0}, {"a": 4.0, "b": 12.0}))
    assert timing.totals == (4.0, 8.0, 16.0)
    assert timing.median == 8.0
    assert timing.stages == {"a": 2.0, "b": 6.0}
    assert timing.shares == {"a": 0.25, "b": 0.75}


def test_ratio_is_taken_within_each_round():
    slow, fast = (Timing(tuple({"a": s} for s in seconds)) for seconds in ((2.0, 30.0, 8.0), (1.0, 10.0, 2.0)))
    found = ratio(slow, fast)
    assert (found.median, found.least, found.greatest) == (3.0, 2.0, 4.0)


def test_contenders_take_turns_and_the_first_round_does_not_count():
    order = []

    def contender(name):
        def run(watch):
            order.append(name)
            with watch.stage("a"):
                pass
            with watch.stage("a"):
                pass

        return run

    timings = interleave({name: contender(name) for name in "xy"}, 2)
    assert order == ["y", "x", "x", "y", "y", "x"]
    assert [len(timings[name].rounds) for name in "xy"] == [2, 2]
    assert list(timings["x"].stages) == ["a"]


def test_no_rounds():
    with pytest.raises(ValueError, match="at least 1"):
        interleave({}, 0)
