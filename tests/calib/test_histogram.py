import numpy as np
import pytest

from trtkit.calib.histogram import BINS, Histogram


def filled(*parts):
    histogram = Histogram()
    for part in parts:
        histogram.add(np.asarray(part, np.float32))
    return histogram


def test_every_value_is_counted_in_its_bin():
    values = np.random.default_rng(0).standard_normal((3, 50, 70)).astype(np.float32)
    histogram = filled(values)
    wanted, _ = np.histogram(np.abs(values), BINS, (0, histogram.range))
    assert np.array_equal(histogram.counts, wanted)
    assert histogram.peak == np.abs(values).max()
    assert histogram.range / 2 <= histogram.peak < histogram.range


def test_neither_order_nor_batches_change_it():
    dice = np.random.default_rng(1)
    parts = [dice.standard_normal(1000).astype(np.float32) * 10**power for power in range(-3, 4)]
    one, other, whole = filled(*parts), filled(*reversed(parts)), filled(np.concatenate(parts))
    for histogram in (other, whole):
        assert np.array_equal(one.counts, histogram.counts)
        assert (one.range, one.peak) == (histogram.range, histogram.peak)


def test_its_size_does_not_grow_with_the_values():
    histogram = Histogram()
    for number in range(100):
        histogram.add(np.full(10_000, number, np.float32))
    assert histogram.counts.nbytes == BINS * 8
    assert histogram.counts.sum() == 1_000_000


def test_more_values_than_float32_counts_exactly():
    histogram = filled(np.zeros((1 << 24) + 5, np.float32))
    assert histogram.counts[0] == (1 << 24) + 5


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="not finite"):
        filled([1.0, value])


def test_zeros_and_emptiness_have_no_peak():
    assert filled(np.zeros(5), []).peak == 0
