"""Telling an error that says 'too much at once' from all others."""

from __future__ import annotations

from trtkit.runtime.cuda_api import OutOfMemory

_SAID = ("failed to allocate memory", "bad_alloc", "bad allocation", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """ONNX Runtime's exception has no type of its own for it, so its words are looked at."""
    return isinstance(error, (MemoryError, OutOfMemory)) or any(said in str(error).lower() for said in _SAID)
