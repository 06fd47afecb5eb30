"""What of a GPU's memory is in use, for `bench run`."""

from __future__ import annotations

import contextlib
from typing import Any


class UsedMemory(contextlib.AbstractContextManager["UsedMemory"]):
    """The bytes of a GPU taken since it was entered, through a context of the calling thread; always 0 where there is
    no GPU or pycuda."""

    def __init__(self, ordinal: int) -> None:
        from trtkit.runtime import machine

        self._ordinal = ordinal
        self._here = machine.lacks(ordinal, "pycuda") is None
        self.context: Any = None

    def __enter__(self) -> UsedMemory:
        if self._here:
            from trtkit.runtime.pycuda_api import driver

            self._drv = driver()
            self.context = self._drv.Device(self._ordinal).retain_primary_context()
            self.context.push()
            self._before = self._in_use()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.context is not None:
            self.context.pop()
            self.context.detach()
            self.context = None

    def used(self) -> int:
        return 0 if self.context is None else self._in_use() - self._before

    def _in_use(self) -> int:
        free, total = self._drv.mem_get_info()
        return int(total - free)
