"""PNG files, written sooner than OpenCV's and Pillow's encoders do: the compressor is Intel's igzip, through isal.

Next to OpenCV's (zlib at level 1, run lengths alone, filter AVG) it takes 0.2 to 0.3 of the time on pictures of 0.05 to
12 megapixels, and its files have 0.96 to 1.09 times the size in colour, mattes 1.2 times their few kilobytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 3: 2, 4: 6}
"""Of grey, RGB and RGBA, by channels."""
_UP = 2
"""The filter of every row: less the row above. One subtraction; AVG is three, and 0 to 5 % smaller."""
_LEVEL = 1
"""igzip's. Level 0 is as quick and a fifth larger, 2 and 3 are slower and no smaller."""
_LARGEST_CHUNK = (1 << 31) - 1


def png(image: NDArray[np.uint8]) -> bytes:
    """The file of `image`: uint8 [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA, neither side 0.

    Format: the PNG Specification, third edition (W3C), 8 bits a sample, not interlaced.
    """
    height, width = image.shape[:2]
    channels = 1 if image.ndim == 2 else image.shape[2]
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    return b"".join(
        (
            _SIGNATURE,
            *_chunk(b"IHDR", header),
            *_data(isal_zlib.compress(_filtered(image.reshape(height, width * channels)), _LEVEL)),
            *_chunk(b"IEND", b""),
        )
    )


def _filtered(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [H, 1 + W·C]: each row's filter and what it leaves of `rows` uint8 [H, W·C]."""
    height, length = rows.shape
    filtered = np.empty((height, 1 + length), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _data(compressed: bytes) -> Iterator[bytes]:
    for start in range(0, len(compressed), _LARGEST_CHUNK):
        yield from _chunk(b"IDAT", compressed[start : start + _LARGEST_CHUNK])


def _chunk(kind: bytes, content: bytes) -> tuple[bytes, ...]:
    checksum = isal_zlib.crc32(content, isal_zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind, content, struct.pack(">I", checksum)
