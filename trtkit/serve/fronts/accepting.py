"""uvicorn on a socket that several processes accept from, each its share.

asyncio wakes every process for each connection, and the one that comes first takes all that wait. Threads that wait in
accept(2) itself are woken one for each connection, the one that has waited longest first; and who has more clients than
another lets that one go first.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from trtkit.optional import need
from trtkit.serve.fronts.shared_gauges import SharedGauge

log = logging.getLogger("trtkit.serve")

_TURN_SECONDS, _LOOK_SECONDS = 0.01, 0.001
"""How long a process leaves the next connection to those that have fewer, one of which may be busy or just beginning,
and how often it looks."""

_AGAIN_SECONDS = 0.1
"""Until the next try where the process has no descriptor left."""

_SAID_SECONDS = 10.0
"""Until that is said again: a log of nothing else hides why."""


def make_server(settings: Any, listening: socket.socket, clients: SharedGauge, ready: Callable[[], None]) -> Any:
    """A uvicorn.Server to be run with no sockets of its own; `ready` is called once it takes connections, and its
    `drain`, from any thread, ends it as SIGTERM would. `clients` are the connections of this process."""
    base: Any = need("uvicorn", "trtkit serve").Server

    class Server(base):  # type: ignore[misc]  # uvicorn is only known at run time
        _loop: asyncio.AbstractEventLoop

        def drain(self) -> None:
            self.should_exit = True

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are the hub's

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            self._loop = asyncio.get_running_loop()
            self._connection = _counted(self.config.http_protocol_class, clients)
            self._adopting: set[asyncio.Task[Any]] = set()
            threading.Thread(target=self._accept, name="trtkit-accept", daemon=True).start()
            ready()

        def _accept(self) -> None:
            said = -_SAID_SECONDS
            while not self.should_exit:
                _wait_turn(clients)
                try:
                    connection, _ = listening.accept()
                except OSError as error:
                    if error.errno in (errno.EINVAL, errno.EBADF):  # the hub has shut it
                        return
                    if error.errno != errno.ECONNABORTED:
                        if time.monotonic() >= said + _SAID_SECONDS:
                            said = time.monotonic()
                            log.warning("connections cannot be taken: %s", error)
                        time.sleep(_AGAIN_SECONDS)
                    continue
                clients.add(1)
                with contextlib.suppress(RuntimeError):  # the loop is closed: the client meets a closed door
                    self._loop.call_soon_threadsafe(self._adopt, connection)

        def _adopt(self, connection: socket.socket) -> None:
            if self.should_exit:
                connection.close()
                return
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
            self._adopting.add(task)
            task.add_done_callback(self._adopted)

        def _adopted(self, task: asyncio.Task[Any]) -> None:
            self._adopting.discard(task)
            if not task.cancelled() and task.exception() is not None:
                clients.add(-1)

        def _protocol(self) -> Any:
            """As uvicorn's own startup makes one for each connection."""
            return self._connection(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=self._loop
            )

    return Server(settings)


def _wait_turn(clients: SharedGauge) -> None:
    until = time.monotonic() + _TURN_SECONDS
    while clients.excess > 0 and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)


def _counted(base: Any, clients: SharedGauge) -> Any:
    """A uvicorn connection that is counted off when it ends."""

    class Connection(base):  # type: ignore[misc]  # uvicorn is only known at run time
        def connection_lost(self, exc: Exception | None) -> None:
            clients.add(-1)
            super().connection_lost(exc)

    return Connection
