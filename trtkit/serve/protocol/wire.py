"""Inference requests and answers as bytes: JSON, and after it the raw tensors in the order the JSON names them.

The header Inference-Header-Content-Length says how long the JSON is; without it, all of the body is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trtkit.errors import Mistake
from trtkit.serve.protocol import tensors
from trtkit.serve.refusal import Refused

HEADER_LENGTH = "Inference-Header-Content-Length"

JSON_LIMIT = 4 << 20
"""Bytes of JSON in a request. Python reads it in one piece, and every other request of the server waits meanwhile, so
large tensors come as binary; a picture of 512 x 512 still fits."""


@dataclass(frozen=True)
class Sent:
    """One input as it was sent: `raw` bytes, or `data` of the JSON."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    raw: memoryview | None
    data: Any


@dataclass(frozen=True)
class Wanted:
    """One output that was asked for, `binary` or in the JSON."""

    name: str
    binary: bool


@dataclass(frozen=True)
class InferRequest:
    """`outputs` is empty where the client wants all there are, `binary` then says in which form."""

    id: str
    inputs: tuple[Sent, ...]
    outputs: tuple[Wanted, ...]
    binary: bool
    parameters: dict[str, Any]


def read(body: bytes, header_length: str | None) -> InferRequest:
    """The request in a (decompressed) body. Raises Mistake saying what does not hold, Refused (413) for too much
    JSON."""
    length = _json_length(len(body), header_length)
    if length > JSON_LIMIT:
        raise Refused(413, f"the request has {length:,} bytes of JSON; send tensors of this size as binary data")
    view = memoryview(body)
    try:
        request = json.loads(body[:length] if length < len(body) else body)
    except (ValueError, RecursionError) as error:
        raise Mistake(f"the request is not JSON that can be read ({error})") from error
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise Mistake("the request is not an object with 'inputs', a list of tensors")
    parameters = _object(request, "parameters", "the request")
    inputs: dict[str, Sent] = {}
    at = length
    for entry in request["inputs"]:
        sent, at = _input(entry, view, at)
        if sent.name in inputs:
            raise Mistake(f"input '{sent.name}' is there twice; send it once")
        inputs[sent.name] = sent
    if at != len(body):
        raise Mistake(f"the body has {len(body) - at} bytes that belong to no input; check each binary_data_size")
    binary = bool(parameters.get("binary_data_output", False))
    outputs = _outputs(request.get("outputs"), binary)
    identifier = request.get("id", "")
    if not isinstance(identifier, str):
        raise Mistake("'id' is not a string; right would be a string of your choice")
    return InferRequest(identifier, tuple(inputs.values()), outputs, binary, parameters)


def write(request: InferRequest, model: str, outputs: Mapping[str, tuple[str, np.ndarray]]) -> tuple[bytes, int | None]:
    """(the answer's body, the length of its JSON where binary tensors follow it, else None).

    `outputs`: name → (datatype, array). Raises Mistake for an output that there is not, or that JSON cannot hold.
    """
    wanted = request.outputs or tuple(Wanted(name, request.binary) for name in outputs)
    entries: list[dict[str, Any]] = []
    chunks: list[bytes | memoryview] = []
    for one in wanted:
        datatype, array = outputs[one.name]
        entry: dict[str, Any] = {"name": one.name, "datatype": datatype, "shape": list(array.shape)}
        if one.binary:
            raw = tensors.to_raw(array, datatype)
            entry["parameters"] = {"binary_data_size": len(raw)}
            chunks.append(raw)
        else:
            entry["data"] = tensors.to_json(one.name, array, datatype)
        entries.append(entry)
    answer: dict[str, Any] = {"id": request.id} if request.id else {}
    answer |= {"model_name": model, "model_version": "1", "outputs": entries}
    head = json.dumps(answer, separators=(",", ":")).encode()
    if not chunks:
        return head, None
    return b"".join([head, *chunks]), len(head)


def _json_length(size: int, header: str | None) -> int:
    if header is None:
        return size
    if not (header.isascii() and header.isdigit() and len(header) < 12 and int(header) <= size):
        raise Mistake(
            f"{HEADER_LENGTH} is '{header[:20]}'; right would be the length of the JSON, at most the body's {size}"
        )
    return int(header)


def _input(entry: Any, body: memoryview, at: int) -> tuple[Sent, int]:
    """One input and where the next one's raw bytes begin."""
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise Mistake("an entry of 'inputs' is not an object with 'name', 'datatype', 'shape' and its data")
    name = _clean(entry["name"])
    shape, datatype = entry.get("shape"), entry.get("datatype")
    if not isinstance(datatype, str):
        raise Mistake(f"input '{name}' has no 'datatype'; right would be a string such as UINT8")
    if not isinstance(shape, list) or not all(_is_whole(axis) and 0 <= axis < 1 << 31 for axis in shape):
        raise Mistake(f"input '{name}' has no 'shape' that is a list of whole numbers from 0")
    parameters = _object(entry, "parameters", f"input '{name}'")
    if "shared_memory_region" in parameters:
        raise Mistake(f"input '{name}' is in shared memory, which is not offered here; send it in the body")
    size = parameters.get("binary_data_size")
    if (size is None) == ("data" not in entry):
        raise Mistake(f"input '{name}' needs either 'data' or the parameter 'binary_data_size', one of the two")
    if size is None:
        return Sent(name, datatype, tuple(shape), None, entry["data"]), at
    if not _is_whole(size) or size < 0:
        raise Mistake(f"input '{name}': binary_data_size is not a whole number from 0")
    if at + size > len(body):
        raise Mistake(f"input '{name}' needs {at + size - len(body)} bytes more than the body has")
    return Sent(name, datatype, tuple(shape), body[at : at + size], None), at + size


def _outputs(entries: Any, binary: bool) -> tuple[Wanted, ...]:
    if entries is None:
        return ()
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries
    ):
        raise Mistake("'outputs' is not a list of objects with 'name'")
    wanted: dict[str, Wanted] = {}
    for entry in entries:
        name = _clean(entry["name"])
        parameters = _object(entry, "parameters", f"output '{name}'")
        for extension in ("classification", "shared_memory_region"):
            if extension in parameters:
                raise Mistake(f"output '{name}' asks for '{extension}', which is not offered here; leave it out")
        wanted[name] = Wanted(name, bool(parameters.get("binary_data", binary)))
    return tuple(wanted.values())


def _object(entry: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    found = entry.get(key, {})
    if not isinstance(found, dict):
        raise Mistake(f"'{key}' of {where} is not an object")
    return found


def _clean(name: str) -> str:
    """As it may stand in a sentence; no tensor's name is changed by it."""
    return "".join(c if c.isprintable() else "?" for c in name[:80])


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_outputs(request: InferRequest, known: Sequence[str], model: str) -> None:
    """Raises Mistake for an output that `model` does not have."""
    for wanted in request.outputs:
        if wanted.name not in known:
            raise Mistake(f"unexpected inference output '{wanted.name}' for model '{model}'; it has {_list(known)}")


def _list(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
