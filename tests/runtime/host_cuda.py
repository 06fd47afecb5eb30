"""A stand-in for a GPU that runs the generated kernels for real, compiled by g++ for this processor.

Device memory is host memory, a stream does everything at once, and each kernel's threads run one after the other. It
says nothing about CUDA itself; that NVRTC compiles the same text is another test, and the tests marked `gpu` run it.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trtkit.runtime.cuda_api import OutOfMemory
from trtkit.runtime.fused.source import PREAMBLE

_KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\) \{')
_HOST = (Path(__file__).parent / "host_preamble.h").read_text(encoding="utf-8")


def compiled(source: str) -> bytes:
    """A shared library of a program's text, with a function run_NAME for each kernel that walks through its grid."""
    source = source.removeprefix(PREAMBLE)
    walks = []
    for name, parameters in _KERNEL.findall(source):
        names = ", ".join(one.split()[-1].lstrip("*") for one in parameters.split(","))
        walks.append(
            f'extern "C" void run_{name}(int gx, int gy, int gz, int threads, {parameters}) {{\n'
            "  blockDim.x = threads;\n"
            "  for (blockIdx.z = 0; blockIdx.z < gz; ++blockIdx.z)\n"
            "    for (blockIdx.y = 0; blockIdx.y < gy; ++blockIdx.y)\n"
            "      for (blockIdx.x = 0; blockIdx.x < gx; ++blockIdx.x)\n"
            f"        for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) {name}({names});\n}}\n"
        )
    text = _HOST + source + "".join(walks)
    with tempfile.TemporaryDirectory() as folder:
        made, library = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
        made.write_text(text)
        command = ["g++", "-std=c++17", "-O1", "-march=native", "-shared", "-fPIC", "-w", "-o", library, made]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return library.read_bytes()


class HostCuda:
    """See Cuda, as far as engines ask for it. `room` is the device's bytes."""

    name, capability = "Host", "9.9"

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.blocks: dict[int, np.ndarray] = {}
        self.launched: list[str] = []
        self._libraries: list[Any] = []

    def alloc(self, size: int) -> int:
        if sum(block.size for block in self.blocks.values()) + size > self.room:
            raise OutOfMemory("cuMemAlloc failed: out of memory")
        block, address = _aligned(size)
        self.blocks[address] = block
        return address

    def free(self, address: int) -> None:
        del self.blocks[address]

    def pinned(self, size: int) -> np.ndarray:
        block, address = _aligned(size)
        start = address - block.ctypes.data
        return block[start : start + size]

    def free_pinned(self, array: np.ndarray) -> None: ...

    def event(self, timed: bool = False) -> None: ...

    def drop(self, event: None) -> None: ...

    def record(self, event: None, stream: None) -> None: ...

    def synchronize(self, event: None) -> None: ...

    def handle(self, stream: None) -> int:
        return 0

    def copy_out(self, host: np.ndarray, address: int, stream: None) -> None:
        ctypes.memmove(host.ctypes.data, address, host.nbytes)

    def copy_in(self, address: int, host: np.ndarray, stream: None) -> None:
        ctypes.memmove(address, host.ctypes.data, host.nbytes)

    def module(self, image: bytes) -> Any:
        with tempfile.NamedTemporaryFile(suffix=".so") as file:
            file.write(image)
            file.flush()
            self._libraries.append(ctypes.CDLL(file.name))
        return self._libraries[-1]

    @property
    def modules(self) -> int:
        return len(self._libraries)

    def function(self, module: Any, name: str) -> Any:
        return module[f"run_{name}"]

    def unload(self, module: Any) -> None:
        self._libraries.remove(module)

    def launch(
        self,
        function: Any,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[int | np.uintp],
        stream: None,
    ) -> None:
        self.launched.append(function.__name__)
        packed = [ctypes.c_void_p(int(one)) if isinstance(one, np.uintp) else one for one in arguments]
        function(*grid, block[0], *packed)


def _aligned(size: int) -> tuple[np.ndarray, int]:
    """Memory as no one left it, and the first address in it that a GPU would give for `size` bytes."""
    block = np.full(size + 255, 0xA5, np.uint8)
    return block, -(-block.ctypes.data // 256) * 256
