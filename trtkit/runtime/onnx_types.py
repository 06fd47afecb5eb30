"""ONNX Runtime's words for types and shapes, as NumPy's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_DTYPES = {
    "tensor(bool)": np.bool_,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(uint16)": np.uint16,
    "tensor(int16)": np.int16,
    "tensor(uint32)": np.uint32,
    "tensor(int32)": np.int32,
    "tensor(uint64)": np.uint64,
    "tensor(int64)": np.int64,
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
}


def numpy_dtype(onnx_type: str) -> np.dtype:
    return np.dtype(_DTYPES[onnx_type])


def dynamic_as_none(shape: Sequence[object]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in shape)
