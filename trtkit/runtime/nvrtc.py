"""CUDA C compiled in this process, by NVIDIA's NVRTC through its own Python bindings: no compiler on the machine."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from trtkit.errors import CheckFailed, MissingComponent
from trtkit.optional import need


def compiled(source: str, capability: str) -> bytes:
    """A cubin of `source` for compute capability '9.0'.

    Raises MissingComponent where NVRTC is absent or too old for that GPU, CheckFailed with NVRTC's own words for what
    it does not compile.
    """
    nvrtc = _bindings()
    program = _call(nvrtc, "nvrtcCreateProgram", source.encode(), b"trtkit.cu", 0, [], [])
    try:
        options = [f"--gpu-architecture=sm_{capability.replace('.', '')}".encode(), b"--std=c++17"]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if status == nvrtc.nvrtcResult.NVRTC_ERROR_INVALID_OPTION:
            raise MissingComponent(
                f"NVRTC {version(nvrtc)} does not know compute capability {capability}; "
                "install a newer one with: pip install -U nvidia-cuda-nvrtc"
            )
        if int(status) != 0:
            log = bytearray(_call(nvrtc, "nvrtcGetProgramLogSize", program))
            _call(nvrtc, "nvrtcGetProgramLog", program, log)
            raise CheckFailed(f"NVRTC does not compile the kernels: {' '.join(log.decode().split())[:600]}")
        image = bytearray(_call(nvrtc, "nvrtcGetCUBINSize", program))
        _call(nvrtc, "nvrtcGetCUBIN", program, image)
        return bytes(image)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def version(nvrtc: ModuleType) -> str:
    major, minor = _call(nvrtc, "nvrtcVersion")
    return f"{major}.{minor}"


def _bindings() -> ModuleType:
    nvrtc = need("cuda.bindings.nvrtc", "compiling kernels")
    try:
        nvrtc.nvrtcVersion()
    except Exception as error:  # the bindings look for the library at the first call, and raise types of their own
        raise MissingComponent(
            f"NVRTC, which compiles kernels, is not here ({' '.join(str(error).split())[:200]}); "
            "install it with: pip install nvidia-cuda-nvrtc"
        ) from error
    return nvrtc


def _call(nvrtc: ModuleType, name: str, *arguments: Any) -> Any:
    status, *results = getattr(nvrtc, name)(*arguments)
    if int(status) != 0:
        raise CheckFailed(f"{name} gave {status.name}")
    return results[0] if len(results) == 1 else results
