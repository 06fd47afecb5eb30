"""What ONNX Runtime is given of a model's file."""

from __future__ import annotations

from pathlib import Path


def model_of(onnx: Path | bytes) -> str | bytes:
    """The file's name, or its content where ONNX Runtime takes no such name: it wants UTF-8."""
    if isinstance(onnx, bytes):
        return onnx
    name = str(onnx)
    try:
        name.encode()
    except UnicodeEncodeError:
        return onnx.read_bytes()
    return name
