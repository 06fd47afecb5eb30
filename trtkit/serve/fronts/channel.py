"""The messages between a front and the hub: small tuples over a Unix socket, and descriptors beside them.

A message is its length and a tuple in marshal's form, which the same Python reads on the other end, faster than any
other; its first word says what it is. Tensors never go this way.
"""

from __future__ import annotations

import array
import marshal
import os
import select
import socket
import struct
import threading
from collections import deque
from typing import Any

Message = tuple[Any, ...]

_HEAD = struct.Struct("<I")
_CHUNK = 1 << 16
_BUFFER = 4 << 20
"""Bytes that may lie in the socket: far more than the messages of a full queue."""

_DESCRIPTOR = socket.CMSG_SPACE(array.array("i").itemsize) if hasattr(socket, "CMSG_SPACE") else 0


class Channel:
    """One end. `send` from any thread, `receive` from one."""

    def __init__(self, end: socket.socket, patience: float | None = None) -> None:
        """`patience`: seconds that `send` waits for an end that does not read; for ever where it is None."""
        self._end, self._patience = end, patience
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self._sending = threading.Lock()
        self._received = bytearray()
        self._descriptors: deque[int] = deque()

    @classmethod
    def pair(cls, patience: float) -> tuple[Channel, socket.socket]:
        """This end, and the other one for another process."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(ours, patience), theirs

    def fileno(self) -> int:
        return self._end.fileno()

    def send(self, *messages: Message, descriptor: int | None = None) -> None:
        """All of them at once; `descriptor` goes with the first.

        Raises OSError when the other end is closed, or does not read.
        """
        data = b"".join([_HEAD.pack(len(body)) + body for body in map(marshal.dumps, messages)])
        with self._sending:
            if descriptor is not None:
                data = data[socket.send_fds(self._end, [data], [descriptor]) :]
            while data:
                try:
                    data = data[self._end.send(data, socket.MSG_DONTWAIT) :]
                except BlockingIOError:
                    if not select.select((), (self._end,), (), self._patience)[1]:
                        raise

    def receive(self) -> list[Message] | None:
        """What has come, after waiting for something; None at the other's end. Its descriptors lie ready, in order."""
        try:
            data, beside, _, _ = self._end.recvmsg(_CHUNK, _DESCRIPTOR)
        except OSError:
            return None
        if not data:
            return None
        for level, kind, content in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._descriptors.extend(array.array("i", content))
        self._received += data
        return self._messages()

    def descriptor(self) -> int:
        """The next one that came with a message; the caller closes it."""
        return self._descriptors.popleft()

    def shut(self) -> None:
        """Have both ends' `receive` return None."""
        self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._sending:
            self._end.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def _messages(self) -> list[Message]:
        found, at, received = [], 0, self._received
        while len(received) - at >= _HEAD.size:
            end = at + _HEAD.size + _HEAD.unpack_from(received, at)[0]
            if end > len(received):
                break
            found.append(marshal.loads(memoryview(received)[at + _HEAD.size : end]))
            at = end
        del received[:at]
        return found
