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


def test_a_window_is_bgr_and_goes_on_past_the_picture():
    rgb = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    padded = np.pad(rgb, ((0, 11), (0, 9), (0, 0)), mode="edge")[..., ::-1]
    for top, left, shape in [(2, 4, (6, 8)), (0, 0, (16, 16)), (0, 0, (5, 7)), (8, 8, (4, 4)), (0, 12, (3, 4))]:
        window = sizing.read_bgr(rgb, top, left, shape)
        np.testing.assert_array_equal(window, padded[top : top + shape[0], left : left + shape[1]])
