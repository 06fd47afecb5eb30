"""The one colour that a PNG declares transparent (its tRNS chunk), where Pillow does not apply it as it is meant."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

_GREY, _COLOUR = 0, 2


def keyed_alpha(data: bytes, image: Image.Image) -> NDArray[np.uint8] | None:
    """uint8 [H, W], 0 where the PNG `data`, loaded as `image`, has its transparent colour and 255 elsewhere.

    None without such a colour, and where Pillow makes alpha of it rightly: for a palette, and colours of 8 bits. It
    compares a key of 2 or 4 bits with samples spread over 8, and forgets one of 16. Raises ValueError if the pixels of
    16 bits cannot be decoded.
    """
    key = image.info.get("transparency")
    if image.format != "PNG" or key is None:
        return None
    # The header is always first: 8 bytes of signature, length and name, width and height.
    bits, kind = data[24], data[25]
    if kind == _GREY and bits > 1:
        white = (1 << bits) - 1
        spread = 255 // white if bits < 8 else 1
        return _unlike(np.asarray(image)[..., None], np.array([key & white]) * spread)
    if kind == _COLOUR and bits == 16:
        return _unlike(_wide(data), np.array(key))
    return None


def _unlike(samples: NDArray, key: NDArray) -> NDArray[np.uint8]:
    return np.where((samples == key).all(axis=2), 0, 255).astype(np.uint8)


def _wide(data: bytes) -> NDArray[np.uint16]:
    """RGB uint16 [H, W, 3], by OpenCV: Pillow keeps the upper byte alone, and a key may lie between two such."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its 16-bit samples cannot be decoded")
    return np.asarray(pixels[..., 2::-1], dtype=np.uint16)
