"""The edges of every image network: uint8 NHWC outside, normalised float NCHW inside.

Both casts live in the ONNX graph, so that PCIe carries one byte a value. Their module names give their nodes the
prefixes ``from_uint8`` and ``to_uint8``, which stay in FP32 in every precision: they cost nothing there, and
x/127.5 − 1 in half precision already loses a quarter of a grey level.
"""

from __future__ import annotations

from torch import Tensor, nn, uint8


class FromUint8(nn.Module):
    """uint8 [N, H, W, C] in 0..255 → float32 [N, C, H, W] in -1..1 (x / 127.5 − 1).

    Cast before transpose: TensorRT takes uint8 at the network's edge alone and refuses to transpose it.
    """

    def forward(self, image: Tensor) -> Tensor:
        return image.float().permute(0, 3, 1, 2) / 127.5 - 1.0


class ToUint8(nn.Module):
    """float32 [N, C, H, W] in 0..`scale`⁻¹·255 → uint8 [N, H, W, C]: x·scale + offset, truncated by the cast."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.scale + self.offset).permute(0, 2, 3, 1).to(uint8)
