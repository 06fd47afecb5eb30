"""Copies between host and device by a kernel, for a graph that holds a whole request.

The GPU's copy engines are as quick, but a graph that goes from them to kernels and back waits some microseconds each
time (H200). Page-locked memory has one address for the host and the device.
"""

from __future__ import annotations

import numpy as np

from trtkit.runtime.cuda_api import Cuda, Stream
from trtkit.runtime.nvrtc import compiled

_THREADS, _WIDTH = 256, 16
SOURCE = """
extern "C" __global__ void copied(const uint4* __restrict__ from, uint4* __restrict__ to, int whole, int rest) {
  const int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at < whole) to[at] = from[at];
  else if (at - whole < rest) ((char*)(to + whole))[at - whole] = ((const char*)(from + whole))[at - whole];
}
"""


class CopyKernel:
    """Raises MissingComponent or CheckFailed where it cannot be compiled."""

    def __init__(self, cuda: Cuda, stream: Stream) -> None:
        self._cuda, self._stream = cuda, stream
        self._module = cuda.module(compiled(SOURCE, cuda.capability))
        self._function = cuda.function(self._module, "copied")

    def queue(self, source: int, target: int, size: int) -> None:
        """`size` bytes from one address to another; addresses are multiples of 16."""
        whole, rest = divmod(size, _WIDTH)
        grid = (-(-(whole + rest) // _THREADS), 1, 1)
        arguments: list[int | np.uintp] = [np.uintp(source), np.uintp(target), whole, rest]
        self._cuda.launch(self._function, grid, (_THREADS, 1, 1), arguments, self._stream)

    def free(self) -> None:
        """In the owner thread; the module would otherwise end with the last reference to it, wherever that goes."""
        self._cuda.unload(self._module)
        self._module = self._function = None
