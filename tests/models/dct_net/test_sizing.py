import numpy as np
import pytest

from trtkit.models.dct_net import sizing


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((720, 1280), (720, 1280)),
        ((500, 3000), (500, 3000)),
        ((1080, 1920), (720, 1280)),
        ((3000, 2000), (1080, 720)),
        ((1001, 1500), (720, 1078)),
        ((721, 721), (720, 720)),
        ((1, 1), (1, 1)),
    ],
)
def test_only_a_short_side_above_720_is_shrunk(size, expected):
    assert sizing.working_size(size) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [((720, 1280), (720, 1280)), ((720, 1281), (736, 1296)), ((1, 1), (16, 16)), ((17, 32), (32, 48))],
)
def test_both_sides_grow_unless_both_are_whole_sixteens(size, expected):
    assert sizing.padded_size(size) == expected


def test_a_window_is_bgr_and_white_past_the_picture():
    rgb = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    window = sizing.read_bgr(rgb, 2, 4, (6, 8))
    np.testing.assert_array_equal(window[:3, :3], rgb[2:, 4:, ::-1])
    assert (window[3:] == 255).all()
    assert (window[:, 3:] == 255).all()
    assert (sizing.read_bgr(rgb, 8, 8, (4, 4)) == 255).all()
