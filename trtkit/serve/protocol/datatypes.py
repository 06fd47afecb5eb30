"""The protocol's names of data types, NumPy's, and those of a Triton configuration."""

from __future__ import annotations

NUMPY_OF = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
"""The protocol's name → NumPy's. BF16 is not here: NumPy has no such type and no network of trtkit's has such a tensor.
BYTES is not here either: its elements have no fixed size (tensors.py)."""

OF_NUMPY = {numpy: name for name, numpy in NUMPY_OF.items()}

BYTES = "BYTES"


def config_type(datatype: str) -> str:
    """'FP32' → 'TYPE_FP32'; a BYTES tensor is a TYPE_STRING in a configuration."""
    return "TYPE_STRING" if datatype == BYTES else f"TYPE_{datatype}"
