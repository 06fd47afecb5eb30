"""A wire with a meter: a TCP relay before a server that counts the bytes of each direction."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass
class Meter:
    """`up` are bytes that clients sent, headers included, `down` what came back."""

    url: str
    up: int = 0
    down: int = 0


@contextmanager
def metered(url: str) -> Iterator[Meter]:
    """A relay to the server at `url` ('http://HOST:PORT')."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        meter = Meter(f"http://127.0.0.1:{listening.getsockname()[1]}")

        def pump(source: socket.socket, target: socket.socket, direction: str) -> None:
            with suppress(OSError):
                while data := source.recv(1 << 16):
                    setattr(meter, direction, getattr(meter, direction) + len(data))
                    target.sendall(data)
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    server = socket.create_connection((host, int(port)))
                    for way in ((client, server, "up"), (server, client, "down")):
                        threading.Thread(target=pump, args=way, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield meter
