"""Layouts of TIFF that Pillow takes for others: read as they are meant, or refused in one sentence."""

import io

import numpy as np
import pytest
from PIL import Image

from trtkit.errors import Mistake
from trtkit.models.imaging.decode import decode_bytes

from .tiffs import DEFLATE, RAW, packed, tiff

SIZE = (30, 42)
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INKS, YCBCR = 0, 1, 2, 3, 5, 6


@pytest.fixture(scope="module")
def shares() -> np.ndarray:
    """float [30, 42, 4], 0..1: four ramps that differ."""
    y, x = np.mgrid[0 : 1 : SIZE[0] * 1j, 0 : 1 : SIZE[1] * 1j]
    return np.dstack([x, y, 1 - x * y, 0.2 + 0.8 * y])


def bytes_of(samples: np.ndarray, bits: int, order: str = "<") -> bytes:
    levels = np.rint(samples * (2**bits - 1))
    return levels.astype(f"{order}u{bits // 8}").tobytes() if bits in (8, 16) else packed(levels, bits)


def grey_levels(samples: np.ndarray, bits: int = 8) -> np.ndarray:
    return np.rint(np.rint(samples * (2**bits - 1)) * 255 / (2**bits - 1)).astype(np.uint8)


def refusal(data: bytes) -> str:
    with pytest.raises(Mistake) as caught:
        decode_bytes(data, "a.tif")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("compression", [RAW, DEFLATE])
@pytest.mark.parametrize(
    ("bits", "photometric"),
    [
        (bits, kind)
        for bits in (1, 2, 4, 8, 12, 16)
        for kind in (WHITE_IS_ZERO, BLACK_IS_ZERO)
        if (bits, kind) != (12, 0)
    ],
)
def test_grey_of_every_depth_goes_from_black_to_white(shares, bits, photometric, compression):
    stored = 1 - shares[..., 0] if photometric == WHITE_IS_ZERO else shares[..., 0]
    data = tiff([bytes_of(stored, bits)], SIZE, [bits], photometric, compression=compression)
    wanted = grey_levels(shares[..., 0], bits)
    # A half may go either way: of 1 − x, too.
    assert np.abs(decode_bytes(data, "a.tif").rgb.astype(int) - wanted[..., None]).max() <= 255 // (2**bits - 1)
    assert (decode_bytes(data, "a.tif").rgb[:, [0, -1]] == [[[0], [255]]]).all()


@pytest.mark.parametrize("bits", [12, 16])
def test_grey_of_more_than_eight_bits_is_rounded_to_the_nearest(shares, bits):
    data = tiff([bytes_of(shares[..., 0], bits)], SIZE, [bits], BLACK_IS_ZERO)
    assert np.array_equal(decode_bytes(data, "a.tif").rgb, np.dstack([grey_levels(shares[..., 0], bits)] * 3))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [RGB, INKS])
def test_planes_of_sixteen_bits_are_read_or_refused(shares, photometric, order):
    channels = [shares[..., c] for c in range(3)] if photometric == RGB else [*np.moveaxis(1 - shares[..., :3], 2, 0)]
    channels += [0 * shares[..., 0]] if photometric == INKS else []
    planes = [bytes_of(channel, 16, order) for channel in channels]
    options = {"order": order, "planar": 2}
    assert refusal(tiff(planes, SIZE, [16] * len(planes), photometric, **options)) == (
        "a.tif is stored plane by plane (PlanarConfiguration 2) in a form that is not read; save it with interleaved "
        "channels (PlanarConfiguration 1)"
    )
    picture = decode_bytes(tiff(planes, SIZE, [16] * len(planes), photometric, compression=DEFLATE, **options), "a.tif")
    assert np.abs(picture.rgb - grey_levels(shares[..., :3]).astype(int)).max() <= 1


@pytest.mark.parametrize("compression", [RAW, DEFLATE])
def test_planes_of_bytes_are_read(shares, compression):
    planes = [bytes_of(shares[..., c], 8) for c in range(4)]
    data = tiff(planes, SIZE, [8] * 4, RGB, compression=compression, planar=2, t338=[2])
    picture = decode_bytes(data, "a.tif")
    assert np.array_equal(picture.rgb, grey_levels(shares[..., :3]))
    assert np.array_equal(picture.alpha, grey_levels(shares[..., 3]))


@pytest.mark.parametrize("compression", [RAW, DEFLATE])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, PALETTE])
def test_planes_whose_alpha_would_be_lost_are_refused(shares, photometric, compression):
    colours = {"t320": [0] * 768} if photometric == PALETTE else {}
    planes = [bytes_of(shares[..., c], 8) for c in (0, 3)]
    data = tiff(planes, SIZE, [8, 8], photometric, compression=compression, planar=2, t338=[2], **colours)
    assert "is stored plane by plane" in refusal(data)


@pytest.mark.parametrize(("bits", "photometric"), [(8, WHITE_IS_ZERO), (1, WHITE_IS_ZERO), (16, BLACK_IS_ZERO)])
def test_a_lone_plane_that_would_be_misread_is_refused(shares, bits, photometric):
    assert "is stored plane by plane" in refusal(
        tiff([bytes_of(shares[..., 0], bits)], SIZE, [bits], photometric, planar=2)
    )


@pytest.mark.parametrize("bits", [1, 8])
def test_a_lone_plane_that_is_read_right_is_read(shares, bits):
    data = tiff([bytes_of(shares[..., 0], bits)], SIZE, [bits], BLACK_IS_ZERO, planar=2)
    assert np.array_equal(decode_bytes(data, "a.tif").rgb[..., 1], grey_levels(shares[..., 0], bits))


@pytest.mark.parametrize("bits", [8, 16])
def test_signed_samples_are_refused(shares, bits):
    data = tiff([bytes_of(shares[..., 0] / 2, bits)], SIZE, [bits], BLACK_IS_ZERO, t339=[2])
    assert refusal(data) == "a.tif holds signed samples; save it as RGB or grey with 8 or 16 bits"


def test_premultiplied_grey_comes_out_straight(shares):
    stored = np.dstack([shares[..., 0] * shares[..., 3], shares[..., 3]])
    picture = decode_bytes(tiff([bytes_of(stored, 8)], SIZE, [8, 8], BLACK_IS_ZERO, t338=[1]), "a.tif")
    assert np.abs(picture.rgb[..., 0] - grey_levels(shares[..., 0]).astype(int)).max() <= 3
    assert np.array_equal(picture.alpha, grey_levels(shares[..., 3]))


@pytest.mark.parametrize("factor", [1, 257])
def test_a_palette_of_bytes_is_not_black(shares, factor):
    """The format has 16 bits a colour; some writers put bytes there."""
    ramp = np.arange(256)
    colours = np.concatenate([ramp, ramp[::-1], 0 * ramp + 100]) * factor
    entries = grey_levels(shares[..., 0])
    data = tiff([entries.tobytes()], SIZE, [8], PALETTE, t320=colours.tolist())
    wanted = np.dstack([entries, 255 - entries, np.full_like(entries, 100)])
    assert np.array_equal(decode_bytes(data, "a.tif").rgb, wanted)


@pytest.mark.parametrize("subsampling", [{}, {"t530": [2, 2]}, {"t530": [2, 1]}])
def test_reduced_colour_without_compression_is_refused_even_if_bytes_follow(subsampling):
    """Pillow takes each for three bytes a pixel, and for its rows whatever lies behind."""
    data = tiff([bytes(SIZE[0] * SIZE[1] * 3)], SIZE, [8] * 3, YCBCR, **subsampling)
    assert refusal(data) == "a.tif holds uncompressed YCbCr of reduced colour; save it as RGB"


@pytest.mark.parametrize("compression", ["raw", "tiff_adobe_deflate", "jpeg"])
def test_other_ycbcr_is_read(shares, compression):
    stream = io.BytesIO()
    image = Image.fromarray(grey_levels(shares[..., :3])).convert("YCbCr")
    image.save(stream, "TIFF", compression=compression)
    assert np.abs(decode_bytes(stream.getvalue(), "a.tif").rgb - np.asarray(image.convert("RGB"), int)).mean() < 3


@pytest.mark.parametrize(("bits", "photometric", "order"), [(12, 0, "<"), (16, 0, ">"), (14, 1, "<"), (12, 1, ">")])
def test_layouts_that_pillow_does_not_know_are_called_that(shares, bits, photometric, order):
    assert refusal(tiff([bytes_of(shares[..., 0], bits, order)], SIZE, [bits], photometric, order=order)) == (
        "a.tif is a TIFF that is damaged or of a layout that is not read; save it as RGB or grey with 8 or 16 bits"
    )
