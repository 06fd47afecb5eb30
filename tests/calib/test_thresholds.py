import numpy as np
import pytest

from trtkit.calib import thresholds
from trtkit.calib.histogram import Histogram
from trtkit.calib.qdq import LEVELS


def of(values):
    histogram = Histogram()
    histogram.add(np.asarray(values, np.float32))
    return histogram


@pytest.fixture(scope="module")
def bell_with_an_outlier():
    bell = np.random.default_rng(0).standard_normal(400_000)
    return np.append(bell, 60.0)


def test_minmax_keeps_everything(bell_with_an_outlier):
    assert thresholds.limit(of(bell_with_an_outlier), "minmax") == 60


def test_percentile_leaves_out_a_sliver(bell_with_an_outlier):
    limit = thresholds.limit(of(bell_with_an_outlier), "percentile")
    beyond = (np.abs(bell_with_an_outlier) > limit).mean()
    assert 0 < beyond <= 1 - thresholds.PERCENTILE / 100
    assert 4 < limit < 6


def test_entropy_gives_the_outlier_up(bell_with_an_outlier):
    assert 2.5 < thresholds.limit(of(bell_with_an_outlier), "entropy") < 8


def test_entropy_keeps_the_whole_of_a_flat_distribution():
    assert thresholds.limit(of(np.linspace(0, 1, 100_000)), "entropy") > 0.97


def test_entropy_is_not_drawn_down_by_what_relu_left_at_0():
    half = np.abs(np.random.default_rng(2).standard_normal(200_000))
    with_zeros = np.concatenate([half, np.zeros(2_000_000)])
    assert thresholds.limit(of(with_zeros), "entropy") == pytest.approx(thresholds.limit(of(half), "entropy"), rel=0.02)


@pytest.mark.parametrize("method", thresholds.METHODS)
def test_no_limit_passes_the_peak_or_is_0(method):
    for values in ([1e-6], [3.0], [0.0, 5e-5, 7.0], np.arange(50), [65504.0, 1e6]):
        histogram = of(values)
        assert 0 < thresholds.limit(histogram, method) <= histogram.peak


def test_entropy_loses_less_information_than_the_whole_range(bell_with_an_outlier):
    """What the method is for: steps as fine as the bulk of the values deserves."""
    histogram = of(bell_with_an_outlier)
    error = {}
    for method in ("minmax", "entropy"):
        scale = thresholds.limit(histogram, method) / LEVELS
        steps = np.clip(np.rint(bell_with_an_outlier / scale), -LEVELS, LEVELS)
        error[method] = np.abs(steps * scale - bell_with_an_outlier)[:-1].mean()
    assert error["entropy"] < error["minmax"] / 4
