"""How far two forms of a network are apart: in grey levels, or in shares of the largest value."""

from types import SimpleNamespace

import numpy as np
import pytest

from trtkit import models
from trtkit.errors import Mistake
from trtkit.export import parity


def _figures(wanted, found, relative):
    batches = iter([("1x2", {"x": np.zeros(1)})])
    return parity.differences(lambda _: {"y": wanted}, lambda _: {"y": found}, batches, relative)["1x2"]


def test_own_units_and_shares_of_the_largest_value():
    wanted, found = np.array([0.0, -200.0, 100.0]), np.array([0.0, -200.0, 101.0])
    assert _figures(wanted, found, False) == {"max": 1.0, "mean": pytest.approx(1 / 3, abs=1e-6)}
    assert _figures(wanted, found, True) == {"max": pytest.approx(1 / 200), "mean": pytest.approx(1 / 600, abs=1e-6)}


def test_grey_levels_do_not_wrap():
    wanted, found = np.array([0, 255], np.uint8), np.array([255, 0], np.uint8)
    assert _figures(wanted, found, False)["max"] == 255


def test_every_output_has_a_reach_of_its_own():
    wanted = {"small": np.array([1e-3, 0]), "large": np.array([1e3, 0])}
    found = {"small": np.array([1e-3, 1e-4]), "large": np.array([1e3, 1e-4])}
    small, large = parity.gaps(wanted, found, relative=True)
    assert small.max() == pytest.approx(0.1)
    assert large.max() == pytest.approx(1e-7)


@pytest.mark.parametrize("relative", [False, True])
def test_what_is_not_finite_is_infinitely_far(relative):
    assert _figures(np.array([1.0, 2.0]), np.array([1.0, np.nan]), relative)["max"] == np.inf
    assert _figures(np.array([1.0, np.nan]), np.array([1.0, 2.0]), relative)["max"] == np.inf


def test_an_output_of_zeros_is_compared_all_the_same():
    assert _figures(np.zeros(3), np.zeros(3), True) == {"max": 0.0, "mean": 0.0}
    assert _figures(np.zeros(3), np.full(3, 1e-3), True)["max"] > 1


def test_small_shares_keep_their_digits():
    assert parity.rounded(0.00000123456789) == 1.23457e-06
    assert parity.rounded(0.123456789) == 0.123457


def test_photographs_that_do_not_lead_to_the_network_are_passed_over():
    """A decision before it may let some pictures alone through; only all of them are too many to be without."""

    def lead(network, pictures, size):
        if all(picture.max() == 0 for picture in pictures):
            raise Mistake("no photograph leads to it")
        return {"image": np.stack([np.zeros((*size, 3), np.uint8) for _ in pictures])}

    model = SimpleNamespace(sample_inputs=lead)
    dark, light = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 200, np.uint8)
    spec = models.get("cv_unet").network("matting")
    batches = list(parity.range_batches(model, spec, [light, dark, dark, dark, dark, dark, light]))
    assert [len(batch["image"]) for batch in batches] == [3, 1, 3, 3]
    assert len(list(parity.range_batches(model, spec, [dark] * 3 + [light]))) == 1
    with pytest.raises(Mistake, match="no photograph leads to it"):
        list(parity.range_batches(model, spec, [dark] * 4))
