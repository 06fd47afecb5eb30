"""A fuse before a network that keeps failing: requests are refused at once, and a trial run closes it again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Breaker:
    """Opens after `threshold` failures in a row. `cool_down` seconds later one trial is due; a good one closes it.

    Safe to use from any thread.
    """

    def __init__(self, threshold: int, cool_down: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._threshold, self._cool_down, self._clock = threshold, cool_down, clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened: float | None = None
        self._last = ""

    def good(self) -> None:
        with self._lock:
            self._failures, self._opened = 0, None

    def bad(self, reason: str) -> None:
        with self._lock:
            self._failures += 1
            self._last = reason
            if self._failures >= self._threshold:
                self._opened = self._clock()

    @property
    def open(self) -> bool:
        return self._opened is not None

    @property
    def trial_due_in(self) -> float | None:
        """Seconds until a trial run is due (0: now), None while closed."""
        opened = self._opened
        return None if opened is None else max(0.0, opened + self._cool_down - self._clock())

    @property
    def reason(self) -> str:
        """How often it failed and what the last failure said."""
        return f"failed {self._failures} times in a row (last: {self._last})"
