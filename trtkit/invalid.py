"""What is wrong with a file that is well formed and not what it has to be, for people: the key and what was found."""

from __future__ import annotations

import reprlib

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 60
_SHOWN.maxdict = _SHOWN.maxlist = 4


def first_problem(error: ValidationError, within: str = "") -> str:
    """One phrase, beginning with the key; `within` is the key of what was validated.

    An unknown key comes before all others: where a name is misspelt, what is missing is no news.
    """
    found = error.errors()
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    key = ".".join([*([within] if within else []), *(str(part) for part in first["loc"] if part != "[key]")])
    subject = f"key '{key}'" if key else "it"
    return subject + _what(first)


def _what(problem: ErrorDetails) -> str:
    kind, value = problem["type"], problem["input"]
    if kind == "extra_forbidden":
        return " is not known"
    if kind == "missing":
        return " is missing"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return " is empty, and has to have keys" if value is None else f" has to have keys, found {_shown(value)}"
    message = problem["msg"].removeprefix("Value error, ")
    said = f": {message[:1].lower()}{message[1:]}"
    return said if "found" in message else f"{said}, found {_shown(value)}"


def _shown(value: object) -> str:
    return _SHOWN.repr(value)
