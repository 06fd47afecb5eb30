"""Sessions of the page that were ended before their time, known to every process of a server at once."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

ID_BYTES = 16

_ENTRY = struct.Struct(f"<{ID_BYTES}sq")
_PLACES = 4096
"""More than a server's people end in the time that a session has. Past that, the one is forgotten whose time is over
first; only who has a key could bring that about."""


class Ended:
    """The last ones, each with the time at which it would have been over, in memory that processes may share."""

    SIZE = _PLACES * _ENTRY.size

    def __init__(self, memory: memoryview, alone: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        """`memory` has SIZE bytes, all 0 at first; within `alone()` no other process writes to it."""
        self._memory, self._alone = memory, alone

    def __contains__(self, session: bytes) -> bool:
        return session in self._memory.tobytes()  # ids are random: one across two places is never met

    def add(self, session: bytes, until: int) -> None:
        with self._alone():
            overs = [over for _, over in _ENTRY.iter_unpack(self._memory)]
            _ENTRY.pack_into(self._memory, overs.index(min(overs)) * _ENTRY.size, session, until)
