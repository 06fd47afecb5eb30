"""Whether the grey at the end of a decoded JPEG is the decoder's, in place of data that the file lacks.

A cut file that was closed again with an end marker looks whole. libjpeg fills what is missing with coefficients of
zero, which are mid-grey, and warns; neither OpenCV nor Pillow passes that on (OpenCV lets it print a line to stderr).
"""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image

_GREY = {127, 128}
"""What coefficients of zero decode to, in every channel; the first where ink is stored inverted."""

_HUFFMAN = (0xC0, 0xC1, 0xC2)
"""Frames (ITU-T T.81, table B.1) whose scans must say every block. Arithmetic coding may leave out zeros at the end."""

_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
"""Behind a scan: what is neither a stuffed byte nor a restart."""

_SOME = bytes((*range(0xB5, 0xFF), *range(1, 0xB5)))
_MORE = _SOME + b"".join(bytes((0xFF, 0xD0 + number)) + _SOME for number in range(8))
"""No marker, beginning with bits that stand for a change of brightness; then the same behind every restart, since the
one that a cut scan waits for is among them."""


def ends_in_fill(data: bytes, last: np.ndarray) -> bool:
    """True if the JPEG file `data` has not the data for its last pixel, which was decoded as `last` (any channels).

    Nearly always one look at that pixel. Where it is mid-grey, more bytes are put behind the last scan: a whole one
    ends before them, so that they change nothing; a cut one takes them for what it lacks. In a progressive file every
    pixel has its colour from the first scans: a cut in the later ones costs detail, leaves no grey, and is not found.
    """
    if not set(last.ravel().tolist()) <= _GREY:
        return False
    end = _end_of_scans(data)
    return end is not None and not np.array_equal(_small(data), _small(data[:end] + _MORE + data[end:]))


def _end_of_scans(data: bytes) -> int | None:
    """Where the data of the last scan ends, or None if that is not certain, or no scan has to be whole."""
    position, end, huffman = 2, None, False
    while data[position : position + 1] == b"\xff" and position + 2 <= len(data):
        marker = data[position + 1]
        if marker == 0xD9:
            return end if huffman else None
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            huffman = marker in _HUFFMAN
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xDA:
            found = _NEXT_MARKER.search(data, position)
            if found is None:
                return None
            position = end = found.start()
    return None


def _small(data: bytes) -> np.ndarray:
    """The brightness at an eighth of the size, a pixel a block. Pillow, since it is silent about what it skips."""
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.draft("L", (max(1, image.width // 8), max(1, image.height // 8)))
    return np.asarray(image)
