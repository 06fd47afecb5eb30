"""Protocol buffers' text format, as much of it as a config.pbtxt needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Word:
    """The name of an enumeration's value: written without quotes."""

    name: str


def text(message: Mapping[str, Any], indent: str = "") -> str:
    """`message` as text: strings quoted, mappings nested, a list of mappings repeated, a list of scalars in brackets.

    An entry that is None is left out.
    """
    return "".join(_field(name, value, indent) for name, value in message.items() if value is not None)


def _field(name: str, value: Any, indent: str) -> str:
    if isinstance(value, Mapping):
        inner = text(value, indent + "  ")
        return f"{indent}{name} {{\n{inner}{indent}}}\n" if inner else f"{indent}{name} {{}}\n"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if value and isinstance(value[0], Mapping):
            return "".join(_field(name, one, indent) for one in value)
        return f"{indent}{name}: [{', '.join(map(_scalar, value))}]\n"
    return f"{indent}{name}: {_scalar(value)}\n"


def _scalar(value: Any) -> str:
    if isinstance(value, Word):
        return value.name
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON's escapes of an ASCII string are all among those that the text format reads.
    return json.dumps(value) if isinstance(value, str) else str(value)
