"""TensorRT's log, collected build by build.

TensorRT keeps the first logger a process gives it and ignores later ones, so there is one for each module
and it hands its lines to whichever build is running.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from typing import Any

_loggers: dict[str, Any] = {}
_one_build = threading.Lock()
_current: LogLines | None = None


class LogLines:
    """The lines of one build from INFO up, in order."""

    def __init__(self) -> None:
        self.info: list[str] = []
        self.problems: list[str] = []
        """WARNING and above."""
        self.errors: list[str] = []

    def reason(self) -> str:
        """The first error in plain words, for a sentence; else the last warning."""
        # Without a driver every failure trails 'cudaError 35' lines that say nothing about the cause.
        errors = [line for line in self.errors if "cudaError" not in line and "catchCudaError" not in line]
        lines = errors or self.errors or self.problems[-1:]
        return plain(lines[0]) if lines else "it gave no reason"


def plain(text: str) -> str:
    """One line of TensorRT's error text without its call, its error code and its source position."""
    lines = [line for line in text.splitlines() if line.strip() and "cudaError" not in line]
    joined = " ".join(" ".join(lines).split())
    inner = re.search(r"Error Code \d+: [^(]*\((.*)\)", joined)
    return re.sub(r"[. ]*\bIn \S+ at \S+$", "", inner.group(1) if inner else joined).rstrip(".")


def logger(trt: Any) -> Any:
    """The process's one logger for the module `trt`."""
    if trt.__name__ not in _loggers:

        class ProcessLogger(trt.ILogger):  # type: ignore[misc]  # the base class is only known at run time
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                lines = _current
                if lines is None or int(severity) > int(trt.ILogger.INFO):
                    return
                if int(severity) == int(trt.ILogger.INFO):
                    lines.info.append(message)
                    return
                lines.problems.append(message)
                if int(severity) <= int(trt.ILogger.ERROR):
                    lines.errors.append(message)

        _loggers[trt.__name__] = ProcessLogger()
    return _loggers[trt.__name__]


@contextlib.contextmanager
def collecting() -> Iterator[LogLines]:
    """Collect the log of one build. A second build of the same process waits here for the first."""
    global _current
    with _one_build:
        _current = LogLines()
        try:
            yield _current
        finally:
            _current = None
