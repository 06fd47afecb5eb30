"""Errors as plain tuples, and back: what a request is answered with must not depend on which process found it."""

from __future__ import annotations

from typing import Any

from trtkit.errors import CheckFailed, MissingComponent, Mistake
from trtkit.serve.refusal import Gone, Refused

_PLAIN: dict[str, type[Exception]] = {
    error.__name__: error for error in (Mistake, MissingComponent, CheckFailed, RuntimeError)
}


def packed(error: BaseException) -> tuple[Any, ...]:
    if isinstance(error, Gone):
        return ("Gone",)
    if isinstance(error, Refused):
        return ("Refused", error.status, str(error), error.retry_after)
    name = next((name for name, kind in _PLAIN.items() if isinstance(error, kind)), "RuntimeError")
    return (name, str(error))


def unpacked(content: tuple[Any, ...]) -> Exception:
    name, *rest = content
    if name == "Gone":
        return Gone()
    return Refused(*rest) if name == "Refused" else _PLAIN[name](*rest)
