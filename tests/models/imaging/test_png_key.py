"""The one colour that a PNG says is transparent, at every depth."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from trtkit.models.imaging.decode import decode_bytes

from .profiles import grey_profile
from .tiffs import packed

SIZE = (20, 32)
GREY, COLOUR, GREY_ALPHA = 0, 2, 4


def png(samples: np.ndarray, bits: int, kind: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """The file of `samples` [H, W, C], with `chunks` (name, content) behind the header."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width, channels = samples.shape
    flat = samples.reshape(height, width * channels)
    rows = [row.astype(">u2").tobytes() if bits == 16 else packed(row[None], bits) for row in flat]
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def ramp(bits: int) -> np.ndarray:
    """int [20, 32], 0 .. 2**bits - 1, with neighbours that differ in the lowest bit alone."""
    levels = np.linspace(0, 2**bits - 1, SIZE[1]).round().astype(int)
    rows = np.repeat(levels[None], SIZE[0], axis=0)
    rows[1::2] ^= 1
    return rows


def spread(samples: np.ndarray, bits: int) -> np.ndarray:
    return np.rint(samples * 255 / (2**bits - 1)).astype(np.uint8)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_grey_is_transparent_and_no_other(bits):
    samples = ramp(bits)
    key = int(samples[0, 20])
    picture = decode_bytes(png(samples[..., None], bits, GREY, (b"tRNS", struct.pack(">H", key))), "a.png")
    assert np.array_equal(picture.alpha, np.where(samples == key, 0, 255))
    assert np.array_equal(picture.rgb, np.dstack([spread(samples, bits)] * 3))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_is_transparent_and_no_other(bits):
    samples = np.dstack([ramp(bits), np.full(SIZE, 2**bits // 3), ramp(bits)[::-1]])
    key = samples[0, 20]
    picture = decode_bytes(png(samples, bits, COLOUR, (b"tRNS", struct.pack(">HHH", *key))), "a.png")
    alpha = np.where((samples == key).all(axis=2), 0, 255)
    assert 0 < (alpha == 0).sum() < alpha.size / 2
    assert np.array_equal(picture.alpha, alpha)
    assert np.abs(picture.rgb - spread(samples, bits).astype(int)).max() <= 1


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_a_key_that_no_pixel_has_makes_nothing_transparent(bits):
    samples = np.zeros((*SIZE, 1), int)
    assert decode_bytes(png(samples, bits, GREY, (b"tRNS", struct.pack(">H", 1))), "a.png").alpha is None


@pytest.mark.parametrize(("bits", "kind"), [(8, GREY), (16, GREY), (4, GREY), (8, GREY_ALPHA), (16, GREY_ALPHA)])
def test_greys_profile_is_applied_with_transparency_too(bits, kind):
    icc = grey_profile("Linear", lambda x: x)
    stored = ramp(bits)
    samples = stored[..., None] if kind == GREY else np.dstack([stored, stored])
    key = [(b"tRNS", struct.pack(">H", int(stored[0, 20])))] if kind == GREY else []
    picture = decode_bytes(png(samples, bits, kind, (b"iCCP", b"g\0\0" + zlib.compress(icc)), *key), "a.png")
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    wanted = ImageCms.profileToProfile(
        Image.fromarray(spread(stored, bits)), profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    # A dark level more or less is many in light.
    assert np.abs(picture.rgb - np.asarray(wanted, int)).mean() < 0.5
    assert picture.alpha is not None
