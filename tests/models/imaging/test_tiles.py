"""Blocks of a picture that have something to do."""

import numpy as np
import pytest

from trtkit.models.imaging.tiles import TILE, WIDEST, tiles_with


@pytest.mark.parametrize("size", [(1, 1), (128, 128), (300, 1500), (129, 641)])
@pytest.mark.parametrize("density", [0.0, 3e-5, 3e-4, 1.0])
def test_neighbours_go_together_and_cover_what_is_hit_and_no_empty_block(size, density):
    mask = (np.random.default_rng(0).random(size) < density).astype(np.uint8)
    covered = np.zeros(size, int)
    for rows, columns in tiles_with(mask, size):
        assert rows.start % TILE == columns.start % TILE == 0
        assert 0 < columns.stop - columns.start <= WIDEST
        for left in range(columns.start, columns.stop, TILE):
            assert mask[rows, left : min(left + TILE, columns.stop)].any()
        covered[rows, columns] += 1
    assert covered.max() <= 1
    assert not mask[covered == 0].any()
    if density == 1.0:
        assert len(list(tiles_with(mask, size))) == -(-size[0] // TILE) * -(-size[1] // WIDEST)
