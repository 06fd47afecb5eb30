import numpy as np
import pytest

from trtkit.models.dct_net.receptive_field import STRIDE, overlap, reach


def conv(x, kernel, stride=1):
    """A one-dimensional convolution of ones, padded as TensorFlow's SAME pads an even length."""
    before, after = (0, 1) if stride == 2 else (kernel // 2, kernel // 2)
    return np.convolve(np.pad(x, (before, after)), np.ones(kernel), "valid")[::stride]


def twice(x):
    out = np.repeat(x, 2).astype(float)
    out[1::2] += np.append(x[1:], x[-1])
    return out


def network(x):
    """Which outputs an input touches: the layers with positive weights, skips included, along one axis."""
    x0 = conv(x, 7)
    x1 = conv(conv(x0, 3, 2), 3)
    y = conv(conv(x1, 3, 2), 3)
    for _ in range(4):
        y = y + conv(conv(y, 3), 3)
    y = twice(conv(y, 3)) + x1
    y = twice(conv(conv(y, 3), 3)) + x0
    return conv(conv(conv(conv(y, 3), 7), 3), 3)


@pytest.mark.parametrize("phase", range(STRIDE))
def test_no_pixel_is_touched_from_farther_away_than_reach(phase):
    length = 400
    before, after = reach()
    x = np.zeros(length)
    x[200 + phase] = 1
    touched = np.flatnonzero(network(x))
    blocks = touched // STRIDE * STRIDE
    assert (200 + phase >= blocks - before).all()
    assert (200 + phase <= blocks + STRIDE - 1 + after).all()


def test_reach_is_not_more_than_needed():
    """Some input at exactly either end of the reach touches the block."""
    before, after = reach()
    block = 200
    assert touches(block - before, block)
    assert touches(block + STRIDE - 1 + after, block)
    assert not touches(block - before - 1, block)
    assert not touches(block + STRIDE + after, block)


def touches(position, block):
    x = np.zeros(400)
    x[position] = 1
    return network(x)[block : block + STRIDE].any()


def test_the_overlap_is_whole_blocks():
    assert overlap() % STRIDE == 0
    assert 0 <= overlap() - max(reach()) < STRIDE
