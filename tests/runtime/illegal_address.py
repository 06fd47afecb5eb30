"""A kernel that writes where no memory is: the sticky error, provoked. Only ever in a process of its own."""

from __future__ import annotations

from trtkit.runtime.gpu import GpuBackend

PTX = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry strike()
{
    .reg .b64 %rd<2>;
    .reg .b32 %r<2>;
    mov.u64 %rd1, 4096;
    mov.u32 %r1, 1;
    st.global.u32 [%rd1], %r1;
    ret;
}
"""


def strike(backend: GpuBackend) -> None:
    """Queue it on the backend's own compute stream; what fails is whatever comes after it."""
    import pycuda.driver as drv

    def work() -> None:
        module = drv.module_from_buffer(PTX)
        function = module.get_function("strike")
        function.prepare("")
        function.prepared_async_call((1, 1), (1, 1, 1), backend._device.streams.run)

    backend._device.call(work)
