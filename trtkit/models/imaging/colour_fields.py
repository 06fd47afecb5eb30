"""The colours that foreground and background have around each place of a picture, as smooth fields at half its size.

Blur-fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021): means over a wide window, each pixel
weighted by its alpha or by the rest of it, give first estimates F̂ and B̂; with them each pixel has a foreground colour
of its own, F = F̂ + α·(I − α·F̂ − (1 − α)·B̂), whose means over a narrow window, weighted by alpha, are the final F̂.

Products are made pixel by pixel and then averaged over blocks of 2x2: exact where alpha and colour change together, as
they do in hair, and a quarter of the numbers from there on. The wide means take blocks of 8x8. The narrow ones need no
pixel's F: over a small block, within which F̂ and B̂ hardly change, Σα·F = F̂·(Σα − Σα³) + Σα²·I − B̂·(Σα² − Σα³). The wide
B̂ is the final one, too: narrow means of what is smooth already change a cut-out by hundredths of a grey level.

In few calls, on whole arrays: each call, and each array that OpenCV makes, gives Python's lock away once, which a
server's threads then have to win back from each other. And in bytes and 16-bit integers where they will do: a
server's processes share the memory's bandwidth. Layers lie below each other in one array: one call does for all.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FAR, NEAR = 91, 13
"""Pixels across the two windows: the paper's radii of 90 and 6, the first halved because hair changes its colour over
shorter distances than the paper's 90 pixels are here."""

COARSE = 8
"""Pixels across a block of the wide means."""

WHITE = 255.0 * 255
"""What a colour of 255 has in the fields: a byte's alpha times a byte's colour."""

_LEAST = 1e-5 * WHITE
"""Added to the mean weights: the paper's 1e-5 of a weight of 1."""

_BORDER = cv2.BORDER_REFLECT
"""Of blocks. A picture mirrored at its outermost pixels is, in blocks, nearly mirrored behind its outermost ones."""


def _window(across: float) -> NDArray[np.float32]:
    """The factors of a mean over `across` blocks, about the middle of one: of the outermost two, the part within."""
    whole = int((across - 1) / 2) * 2 + 1
    outermost = (across - whole) / 2
    return np.array([outermost, *[1.0] * whole, outermost], np.float32) / np.float32(across)


_FAR, _NEAR = _window(FAR / COARSE), _window(NEAR / 2)


def colour_fields(
    image: NDArray[np.uint8], alpha: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """2·F̂ − B̂ and B̂ − F̂, float32 [⌈H/2⌉, ⌈W/2⌉, 3], for colours of 0..WHITE, of `image` uint8 [H, W, 3] and its `alpha`
    uint8 [H, W]. An estimate is 0 where nothing of its kind is within reach.
    """
    rows, columns = slice(-(-alpha.shape[0] // 2)), slice(-(-alpha.shape[1] // 2))
    colours, powers = _block_means(_padded(image), _padded(alpha))
    first, second, third = _layers(powers, 3)
    room = np.empty((5 * first.shape[0], first.shape[1], 3), np.float32)
    front, back, near, factor, other = _layers(room, 5)
    _wide_means(colours[: -first.shape[0]], front, back)
    singles = np.empty((2 * first.shape[0], first.shape[1]), np.float32)
    single, second_single = _layers(singles, 2)
    np.subtract(first, third, out=single, dtype=np.float32)
    np.subtract(third, second, out=second_single, dtype=np.float32)
    _by_channel(singles, room[-singles.shape[0] :])
    cv2.multiply(front, factor, dst=near)
    cv2.accumulateProduct(back, other, near)
    cv2.accumulate(colours[-first.shape[0] :], near)
    cv2.sepFilter2D(near, cv2.CV_32F, _NEAR, _NEAR, dst=front, borderType=_BORDER)
    np.copyto(single, first)
    cv2.sepFilter2D(single, cv2.CV_32F, _NEAR, _NEAR, dst=single, delta=_LEAST, borderType=_BORDER)
    cv2.divide(front, _by_channel(single, factor), dst=front, scale=WHITE)
    cv2.addWeighted(back, WHITE, front, -1, 0, dst=back)
    cv2.subtract(front, back, dst=front)
    return front[rows, columns], back[rows, columns]


def _padded(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`pixels` with mirrored ones below and to the right, up to whole blocks."""
    below, right = -pixels.shape[0] % COARSE, -pixels.shape[1] % COARSE
    if not (below or right):
        return pixels
    return cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REFLECT_101)  # type: ignore[return-value]


def _block_means(image: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Over blocks of 2x2, all 0..WHITE: layers uint16 [4·H/2, W/2, 3] of α, α·I, (1 − α)·I and α²·I, and uint16
    [3·H/2, W/2] of α, α² and α³."""
    height, width = alpha.shape
    square = np.empty_like(alpha)
    cv2.multiply(alpha, alpha, dst=square, scale=1 / 255)
    products = np.empty((3 * height, width), np.uint16)
    first, second, third = _layers(products, 3)
    np.multiply(alpha, 255, out=first, dtype=np.uint16)
    np.multiply(square, 255, out=second, dtype=np.uint16)
    np.multiply(square, alpha, out=third, dtype=np.uint16)
    powers = _halved(products)
    colours = np.empty((4 * (height // 2), width // 2, 3), np.uint16)
    share, *means = _layers(colours, 4)
    _by_channel(powers[: share.shape[0]], share)
    # In the memory of the powers' products, which is in the cache.
    product, factor = products.reshape(image.shape), np.empty_like(image)
    for plane, mean in zip((alpha, cv2.bitwise_not(alpha), square), means, strict=True):
        np.multiply(image, _by_channel(plane, factor), out=product, dtype=np.uint16)
        cv2.resize(product, mean.shape[1::-1], dst=mean, interpolation=cv2.INTER_AREA)
    return colours, powers


def _wide_means(layers: NDArray[np.uint16], front: NDArray[np.float32], back: NDArray[np.float32]) -> None:
    """F̂ and B̂ of the wide window into `front` and `back`, float32 [h, w, 3], 0..1, from means over 2x2 of α, α·I and
    (1 − α)·I: `layers` uint16 [3·h, w, 3], 0..WHITE."""
    share, *colours = _layers(_halved(_halved(layers)).astype(np.float32), 3)
    cv2.sepFilter2D(share, cv2.CV_32F, _FAR, _FAR, dst=share, delta=_LEAST, borderType=_BORDER)
    for colour, out in zip(colours, (front, back), strict=True):
        cv2.sepFilter2D(colour, cv2.CV_32F, _FAR, _FAR, dst=colour, borderType=_BORDER)
        cv2.divide(colour, share, dst=colour)
        cv2.resize(colour, out.shape[1::-1], dst=out, interpolation=cv2.INTER_LINEAR)
        np.subtract(WHITE + 2 * _LEAST, share, out=share)


def _layers(stack: NDArray, count: int) -> list[NDArray]:
    """The `count` layers that lie below each other in `stack` [count·h, ...], views."""
    height = stack.shape[0] // count
    return [stack[layer * height : (layer + 1) * height] for layer in range(count)]


def _halved(stack: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Means over 2x2 of `stack` uint16 [n·h, w] or [n·h, w, 3], h and w even: [n·h/2, w/2], none of two layers."""
    halved = np.empty((stack.shape[0] // 2, stack.shape[1] // 2, *stack.shape[2:]), np.uint16)
    cv2.resize(stack, halved.shape[1::-1], dst=halved, interpolation=cv2.INTER_AREA)
    return halved


def _by_channel(plane: NDArray, out: NDArray) -> NDArray:
    """`plane` [h, w] in all three channels of `out` [h, w, 3], of the same dtype. A broadcast costs numpy more."""
    cv2.cvtColor(plane, cv2.COLOR_GRAY2RGB, dst=out)
    return out
