"""A run that is not waited for is the run, and its stage is told as one."""

from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from trtkit.models.cv_unet.pipeline import CutOut, Options
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import StageClock


class RedChannel:
    """A network whose alpha is the red channel; `later` is the run that was not waited for."""

    def run(self, arrays):
        return {"alpha": arrays["image"][..., :1]}

    def submit(self, arrays):
        self.given, self.later = arrays, Future()
        return self.later


@pytest.fixture
def network() -> RedChannel:
    return RedChannel()


def begun(network):
    told = []
    pipeline = CutOut(network, Options(size=64))
    clock = StageClock(lambda stage, seconds: told.append((stage, seconds is None)))
    rgb = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    item = pipeline.prepare(Picture(rgb, None, (30, 40), Path("it")), clock)
    told.clear()
    return pipeline, item, clock, pipeline.begin(item, clock), told


def test_it_gives_what_run_gives_when_the_network_has_done_it(network):
    pipeline, item, clock, alpha, told = begun(network)
    assert (alpha.done(), told) == (False, [("run", True)])
    network.later.set_result(network.run(network.given))
    np.testing.assert_array_equal(alpha.result(0), pipeline.run([item], clock)[0])
    assert told[:2] == [("run", True), ("run", False)]


def test_its_error_is_the_networks(network):
    *_, alpha, told = begun(network)
    network.later.set_exception(RuntimeError("the device fell off"))
    with pytest.raises(RuntimeError, match="the device fell off"):
        alpha.result(0)
    assert told == [("run", True), ("run", False)]
