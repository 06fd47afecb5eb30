"""The messages between a front and the hub: small tuples over a Unix socket, and descriptors beside them.

A message is its length and a tuple in marshal's form, which the same Python reads on the other end, faster than any
other; its first word says what it is. Tensors never go this way.
"""

from __future__ import annotations

import array
import errno
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

_LOST = -1
"""In the place of a descriptor that came when this process had no room for one."""

_DESCRIPTOR = socket.CMSG_SPACE(array.array("i").itemsize) if hasattr(socket, "CMSG_SPACE") else 0


class Channel:
    """One end. `send` from any thread, `receive` from one."""

    def __init__(self, end: socket.socket, patience: float | None = None) -> None:
        """`patience`: seconds that `send` waits for an end that does not read; for ever where it is None."""
        self._end, self._patience = end, patience
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self._sending = threading.Lock()
        self._torn = False
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

        Raises OSError when the other end is closed, or does not read. Nothing can be sent after that: half a message
        may be there, and what followed would be read as the rest of it.
        """
        data = b"".join([_HEAD.pack(len(body)) + body for body in map(marshal.dumps, messages)])
        beside = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        with self._sending:
            if self._torn:
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            try:
                while data:
                    try:
                        data, beside = data[self._end.sendmsg([data], beside, socket.MSG_DONTWAIT) :], []
                    except BlockingIOError:
                        if not self._room():
                            raise
            except OSError:
                self._torn = True
                raise

    def _room(self) -> bool:
        """Whether more can be sent, after waiting for it."""
        room = select.poll()  # not select(2), which knows no descriptor above 1023
        room.register(self._end, select.POLLOUT)
        return bool(room.poll(None if self._patience is None else self._patience * 1000))

    def receive(self) -> list[Message] | None:
        """What has come, after waiting for something; None at the other's end. Its descriptors lie ready, in order."""
        try:
            data, beside, flags, _ = self._end.recvmsg(_CHUNK, _DESCRIPTOR)
        except OSError:
            return None
        if not data:
            return None
        came = array.array("i")
        for level, kind, content in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                came.frombytes(content[: len(content) - len(content) % came.itemsize])
        if flags & socket.MSG_CTRUNC and not came:
            came.append(_LOST)
        self._descriptors.extend(came)
        self._received += data
        return self._messages()

    def descriptor(self) -> int:
        """The next one that came with a message; the caller closes it. Raises OSError for one that this process had no
        room for."""
        descriptor = self._descriptors.popleft()
        if descriptor == _LOST:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return descriptor

    def shut(self) -> None:
        """Have both ends' `receive` return None."""
        self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._sending:
            self._end.close()
        while self._descriptors:
            descriptor = self._descriptors.popleft()
            if descriptor != _LOST:
                os.close(descriptor)

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
