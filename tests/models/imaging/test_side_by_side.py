import numpy as np
import pytest

from trtkit.models.imaging.side_by_side import difference, sheet


@pytest.mark.parametrize(("apart", "contrast"), [(0, 1), (1, 128), (2, 64), (3, 64), (100, 2), (128, 1), (255, 1)])
def test_the_contrast_is_the_largest_power_of_two_that_clips_nothing(apart, contrast):
    a = np.zeros((4, 5, 3), np.uint8)
    b = a.copy()
    b[1, 2, 0] = apart
    found = difference(a, b)
    assert (found.contrast, found.worst) == (contrast, apart)
    assert found.shown[1, 2].tolist() == [apart * contrast, 0, 0]
    assert found.shown.sum() == apart * contrast


@pytest.mark.parametrize("shape", [(300, 400), (400, 300), (1, 1), (2, 90)])
def test_every_panel_is_whole_under_a_label(shape):
    rng = np.random.default_rng(0)
    panels = [(name * 60, rng.integers(0, 255, (*shape, 3), np.uint8)) for name in "AB"]
    made = sheet(panels)
    factor = -(-240 // shape[1])
    height, width = shape[0] * factor, shape[1] * factor
    assert made.shape[1] == 2 * width + 8
    below = made[-height:]
    np.testing.assert_array_equal(below[::factor, :width:factor], panels[0][1])
    np.testing.assert_array_equal(below[::factor, -width::factor], panels[1][1])
    for strip in (made[:-height, :width], made[:-height, -width:]):
        assert strip.min() < 100, "something is written"
