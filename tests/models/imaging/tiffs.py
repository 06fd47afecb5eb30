"""TIFF files made by hand, tag by tag: the layouts that the libraries here read but do not write."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

SHORT, LONG = 3, 4
RAW, DEFLATE = 1, 8


def tiff(
    parts: Sequence[bytes],
    size: tuple[int, int],
    bits: Sequence[int],
    photometric: int,
    *,
    order: str = "<",
    compression: int = RAW,
    planar: int = 1,
    **more: Sequence[int],
) -> bytes:
    """The file of `parts`, a plane each or all interleaved; `size` (height, width), `bits` a channel; `more` are tags,
    as t338=[2]."""
    height, width = size
    parts = [zlib.compress(part) if compression == DEFLATE else part for part in parts]
    body, offsets = b"", []
    for part in parts:
        offsets.append(8 + len(body))
        body += part + bytes(len(part) % 2)
    tags = {256: [width], 257: [height], 258: bits, 259: [compression], 262: [photometric], 277: [len(bits)]}
    tags |= {273: offsets, 278: [height], 279: [len(part) for part in parts], 284: [planar]}
    tags |= {int(name[1:]): values for name, values in more.items()}
    at = 8 + len(body)
    behind = at + 2 + 12 * len(tags) + 4
    entries, values_behind = b"", b""
    for number, values in sorted(tags.items()):
        kind, letter = (LONG, "I") if number in (273, 279) else (SHORT, "H")
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        entries += struct.pack(f"{order}HHI", number, kind, len(values))
        if len(packed) <= 4:
            entries += packed.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", behind + len(values_behind))
            values_behind += packed + bytes(len(packed) % 2)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    return head + body + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + values_behind


def packed(samples: np.ndarray, bits: int) -> bytes:
    """Rows of `bits` bits a sample, the upper first, each row filled to whole bytes."""
    places = np.arange(bits - 1, -1, -1)
    return b"".join(np.packbits(((row[:, None] >> places) & 1).ravel()).tobytes() for row in samples.astype(np.uint32))
