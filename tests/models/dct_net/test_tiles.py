import math

import cv2
import numpy as np
import pytest

from trtkit.errors import Mistake
from trtkit.models.dct_net import sizing
from trtkit.models.dct_net.receptive_field import overlap
from trtkit.models.dct_net.tiles import largest_area, largest_tile, run_tiled, spans, tile_shape


def draw(network, rgb, tile):
    out = np.zeros_like(rgb)
    run_tiled(
        lambda window: network.run({"image": window[None]})["cartoon"][0, ..., ::-1],
        lambda top, left, shape: sizing.read_bgr(rgb, top, left, shape),
        sizing.padded_size(rgb.shape[:2]),
        out,
        tile,
    )
    return out


def noisy(portrait, height, width):
    rng = np.random.default_rng(0)
    enlarged = cv2.resize(portrait, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(enlarged + rng.normal(0, 6, enlarged.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("length", [256, 320, 512, 1000, 3008, 8000])
@pytest.mark.parametrize("tile", [256, 260, 512, 1004])
def test_kept_parts_cover_an_axis_once_and_lose_only_inner_rims(length, tile):
    tile = min(tile, length)
    covered = []
    for span in spans(length, tile):
        assert span.origin % 4 == 0
        assert 0 <= span.origin <= length - tile
        assert span.start - span.origin >= overlap() or span.origin == 0
        assert span.origin + tile - span.stop >= overlap() or span.origin + tile == length
        covered += range(span.start, span.stop)
    assert covered == list(range(length))


@pytest.mark.parametrize("size", [(16, 16), (2000, 3008), (6000, 8000), (720, 20000), (16, 100000), (3008, 2000)])
@pytest.mark.parametrize("area", [256 * 256, 10**6])
def test_tiles_stay_within_the_area_in_whole_blocks(size, area):
    shape = tile_shape(size, area)
    assert math.prod(shape) <= area
    assert shape == size or all(side % 4 == 0 for side in shape)
    assert all(side <= whole for side, whole in zip(shape, size, strict=True))


def test_a_picture_that_fits_is_one_tile():
    assert tile_shape((992, 992), 10**6) == (992, 992)


def test_an_engine_s_profile_bounds_the_tile():
    assert largest_tile([]) is None
    assert largest_tile([[1, 512, 512, 3], [1, 1024, 768, 3]]) == (1024, 768)
    height, width = tile_shape((2000, 3008), 10**7, (1024, 768))
    assert height <= 1024
    assert width <= 768


@pytest.mark.parametrize("tile", [(256, 256), (200, 516), (512, 152)])
@pytest.mark.parametrize("size", [(512, 512), (501, 517)])
def test_tiles_give_what_one_run_gives(networks, portrait_pixels, size, tile):
    rgb = noisy(portrait_pixels, *size)
    padded = sizing.padded_size(size)
    tile = (min(tile[0], padded[0]), min(tile[1], padded[1]))
    whole = draw(networks["background"], rgb, padded)
    apart = cv2.absdiff(whole, draw(networks["background"], rgb, tile))
    assert whole.std() > 10, "the network answers to the picture"
    assert apart.max() <= 1
    assert (apart.max(axis=-1) > 0).mean() < 1e-3


def test_six_megapixels_in_tiles_are_six_megapixels_at_once(networks, portrait_pixels):
    rgb = noisy(portrait_pixels, 2000, 3000)
    padded = sizing.padded_size((2000, 3000))
    tile = tile_shape(padded, largest_area(2**30))
    assert len(list(spans(padded[0], tile[0]))) > 1
    whole, tiled = draw(networks["background"], rgb, padded), draw(networks["background"], rgb, tile)
    apart = cv2.absdiff(whole, tiled).max(axis=-1)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-3
    rim = np.ones_like(apart, bool)
    rim[2:-2, 2:-2] = False
    assert (apart[rim] > 0).mean() < 1e-3


def test_too_little_memory_is_said_with_what_would_do():
    with pytest.raises(Mistake, match=r"--max-memory 100 MiB is too little .* right would be at least 304 MiB"):
        largest_area(100 * 2**20)
    assert largest_area(304 * 2**20) >= 256 * 256
