"""A picture with transparency of its own, through both pipelines: the lesser of the two alphas, and its own colours."""

from pathlib import Path

import numpy as np
import pytest

from trtkit.models.cv_unet import frozen
from trtkit.models.cv_unet.pipeline import CutOut, Options
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import StageClock


class Everything:
    """A network to which all of a picture is the person."""

    def run(self, arrays):
        return {"alpha": np.full_like(arrays["image"][..., :1], 255)}


@pytest.fixture
def faint(portrait_pixels) -> Picture:
    """The astronaut at half her opacity, and wholly transparent in the upper rows."""
    alpha = np.full((512, 512), 128, np.uint8)
    alpha[:100] = 0
    return Picture(portrait_pixels, alpha, (512, 512), Path("it"))


def _ours(picture, **options):
    pipeline, clock = CutOut(Everything(), Options(**options)), StageClock()
    item = pipeline.prepare(picture, clock)
    return pipeline.finish(item, pipeline.run([item], clock)[0], clock)


def _official(picture, **options):
    raw = np.dstack([picture.rgb, np.full(picture.size, 255, np.uint8)])
    return frozen.OfficialCutOut(None, None, frozen.Options(**options), 100).finish(picture, raw, StageClock())


@pytest.mark.parametrize("done", [_ours, _official])
def test_a_faint_picture_keeps_its_colours(done, faint):
    rgba = done(faint)
    assert np.array_equal(rgba[100:, :, :3], faint.rgb[100:])
    assert np.array_equal(rgba[..., 3], faint.alpha)
    assert np.array_equal(done(faint, alpha_only=True), faint.alpha)


@pytest.mark.parametrize("done", [_ours, _official])
def test_over_a_background_it_is_as_faint(done, faint):
    share = faint.alpha[..., None] / 255
    wanted = faint.rgb * share + (1 - share) * (0, 0, 255)
    assert np.abs(done(faint, background="blue") - wanted).max() <= 1


def test_the_matte_alone_needs_no_transparency_of_the_pictures(faint):
    opaque = Picture(faint.rgb, None, faint.size, faint.source)
    assert (_ours(opaque, alpha_only=True) == 255).all()
    assert np.array_equal(_official(opaque)[..., :3], faint.rgb)
