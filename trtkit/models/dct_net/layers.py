"""The generator's layers as plain facts: TensorFlow scope, module name, kernel and channels. No torch here."""

from __future__ import annotations

SCOPES = {
    "Conv": "enter",
    "Conv_1": "halve1",
    "Conv_2": "widen1",
    "Conv_3": "halve2",
    "Conv_4": "widen2",
    "Conv_5": "narrow2",
    "Conv_6": "merge1",
    "Conv_7": "narrow1",
    "Conv_8": "merge0",
    "Conv_9": "leave",
}
"""Scope under generator/ in the frozen graph → name of the module in network.Generator."""

BLOCK_SCOPES = {"block_{}/conv1": "blocks.{}.conv1", "block_{}/conv2": "blocks.{}.conv2"}
"""The same for the residual blocks, numbered from 0."""


def shapes_of(channels: int, blocks: int) -> dict[str, tuple[int, int, int]]:
    """Module name → (kernel, input channels, output channels)."""
    c = channels
    shapes = {
        "enter": (7, 3, c),
        "halve1": (3, c, c),
        "widen1": (3, c, 2 * c),
        "halve2": (3, 2 * c, 2 * c),
        "widen2": (3, 2 * c, 4 * c),
        "narrow2": (3, 4 * c, 2 * c),
        "merge1": (3, 2 * c, 2 * c),
        "narrow1": (3, 2 * c, c),
        "merge0": (3, c, c),
        "leave": (7, c, 3),
    }
    for block in range(blocks):
        shapes |= {f"blocks.{block}.conv{half}": (3, 4 * c, 4 * c) for half in (1, 2)}
    return shapes
