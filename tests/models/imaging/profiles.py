"""Colour profiles made by hand (ICC.1:2001-04): any curve, any primaries, under any name."""

import struct
from collections.abc import Callable, Sequence

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
"""Red, green and blue of sRGB, brought to D50."""
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))

Curve = Callable[[np.ndarray], np.ndarray]


def srgb_curve(x: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1: 0..1 as stored → 0..1 of light."""
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def rgb_profile(name: str, curve: Curve, colours: Sequence[Sequence[float]] = SRGB) -> bytes:
    """A display's: `curve` for all three channels, `colours` the XYZ of each."""
    tags = {b"%cXYZ" % letter: _xyz(colour) for letter, colour in zip(b"rgb", colours, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(curve))
    return _file(b"RGB ", name, tags)


def grey_profile(name: str, curve: Curve) -> bytes:
    return _file(b"GRAY", name, {b"kTRC": _curve(curve)})


def _file(space: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    text = name.encode() + b"\0"
    described = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": described, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(D50)} | tags
    listed, data = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        listed += tag + struct.pack(">II", 132 + 12 * len(tags) + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = struct.pack(">I", 128 + len(listed) + len(data))
    head = size + bytes(4) + struct.pack(">I", 0x02400000) + b"mntr" + space + b"XYZ " + bytes(12) + b"acsp"
    return (head + bytes(28) + b"".join(map(_fixed, D50))).ljust(128, b"\0") + listed + data


def _curve(curve: Curve) -> bytes:
    samples = np.rint(curve(np.linspace(0, 1, 1024)) * 65535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", len(samples)) + samples.tobytes()


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, values))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))
