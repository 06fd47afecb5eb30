"""Errors as plain tuples, and back: what a request is answered with must not depend on which process found it."""

from __future__ import annotations

from typing import Any

from trtkit.errors import CheckFailed, MissingComponent, Mistake
from trtkit.serve.refusal import Gone, Refused

_PLAIN: dict[str, type[Exception]] = {
    error.__name__: error for error in (Mistake, MissingComponent, CheckFailed, RuntimeError)
}


def no_memory(error: BaseException) -> Refused:
    """For memory between the processes that was not to be had: no descriptor left, or no room in the address space."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else "out of memory"
    return Refused(503, f"no memory could be shared for this request ({why}); try again", 1)


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
