"""One tensor between its forms: raw little-endian bytes, JSON, and a NumPy array.

A BYTES tensor's raw form is, for each element, its length in four bytes and then the element (Triton's binary
extension); as an array it is of dtype object and holds bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from trtkit.errors import Mistake
from trtkit.serve.protocol.datatypes import BYTES, NUMPY_OF

JSON_ELEMENTS = 1 << 20
"""Elements of an output in JSON: writing more would hold up every other request of the server."""


def from_raw(name: str, raw: memoryview, datatype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array that `raw` holds; it shares its memory and is read-only. Raises Mistake, naming the input."""
    if datatype == BYTES:
        elements = list(_elements(name, raw, shape))
        return _objects(name, elements, shape)
    dtype = np.dtype(NUMPY_OF[datatype]).newbyteorder("<")
    expected = math.prod(shape) * dtype.itemsize
    if len(raw) != expected:
        raise Mistake(f"input '{name}' has {len(raw)} bytes; {datatype} {list(shape)} has {expected}")
    return np.frombuffer(raw, dtype).reshape(shape).view(NUMPY_OF[datatype])


def to_raw(array: np.ndarray, datatype: str) -> bytes:
    if datatype == BYTES:
        return b"".join(struct.pack("<I", len(element)) + element for element in array.reshape(-1))
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def from_json(name: str, data: Any, datatype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array that JSON's `data` holds, flat or nested. Raises Mistake, naming the input."""
    flat = list(_flat(data)) if isinstance(data, list) else [data]
    if datatype == BYTES:
        try:
            return _objects(name, [element.encode() for element in flat], shape)
        except (AttributeError, UnicodeEncodeError) as error:  # a number; half of a surrogate pair
            raise Mistake(f"input '{name}' is BYTES; right would be strings in 'data', or binary data") from error
    if datatype == "FP16":
        raise Mistake(f"input '{name}' is FP16, which JSON is not offered for; send it as binary data")
    dtype = np.dtype(NUMPY_OF[datatype])
    wanted: tuple[type, ...] = {"b": (bool,), "f": (int, float)}.get(dtype.kind, (int,))
    if not all(isinstance(element, wanted) and (isinstance(element, bool) == (dtype.kind == "b")) for element in flat):
        raise Mistake(f"input '{name}' has something else than {datatype} in its 'data'")
    if len(flat) != math.prod(shape):
        raise Mistake(
            f"input '{name}' has {len(flat)} elements in 'data'; its shape {list(shape)} has {math.prod(shape)}"
        )
    try:
        return np.array(flat, dtype).reshape(shape)
    except OverflowError as error:
        raise Mistake(f"input '{name}' has a number in its 'data' that {datatype} cannot hold") from error


def to_json(name: str, array: np.ndarray, datatype: str) -> list[Any]:
    """The elements, flat. Raises Mistake for what JSON cannot hold."""
    if array.size > JSON_ELEMENTS:
        raise Mistake(
            f"output '{name}' has {array.size:,} elements, and JSON has at most {JSON_ELEMENTS:,} of them here; ask "
            "for it with binary_data"
        )
    if datatype == "FP16":
        raise Mistake(f"output '{name}' is FP16, which JSON is not offered for; ask for it with binary_data")
    if datatype == BYTES:
        try:
            return [element.decode() for element in array.reshape(-1)]
        except UnicodeDecodeError as error:
            raise Mistake(f"output '{name}' is no text, so JSON cannot hold it; ask for it with binary_data") from error
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Mistake(f"output '{name}' has infinities or NaN, which JSON has no word for; ask for it with binary_data")
    return array.reshape(-1).tolist()


def _elements(name: str, raw: memoryview, shape: tuple[int, ...]) -> Iterator[bytes]:
    """No more of them than `shape` has: a body of nothing but lengths, which zips to next to nothing, has millions."""
    at, places = 0, math.prod(shape)
    while at < len(raw):
        if not places:
            count = math.prod(shape)
            raise Mistake(f"input '{name}' has more elements than the {count} of its shape {list(shape)}; send so many")
        places -= 1
        if at + 4 > len(raw):
            raise Mistake(f"input '{name}' is cut short: an element's length has {len(raw) - at} of its 4 bytes")
        (size,) = struct.unpack_from("<I", raw, at)
        at += 4
        if at + size > len(raw):
            raise Mistake(f"input '{name}' is cut short: an element of {size} bytes has {len(raw) - at}")
        yield bytes(raw[at : at + size])
        at += size


def _objects(name: str, elements: list[bytes], shape: tuple[int, ...]) -> np.ndarray:
    if len(elements) != math.prod(shape):
        raise Mistake(f"input '{name}' has {len(elements)} elements; its shape {list(shape)} has {math.prod(shape)}")
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(shape)


def _flat(data: list[Any]) -> Iterator[Any]:
    """Depth first, without recursion: how deep it nests is the client's choice."""
    stack = [iter(data)]
    while stack:
        for element in stack[-1]:
            if isinstance(element, list):
                stack.append(iter(element))
                break
            yield element
        else:
            stack.pop()
