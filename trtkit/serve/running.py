"""The process around the application: uvicorn, its logs, its end."""

from __future__ import annotations

import errno
import json
import logging
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from trtkit.errors import Mistake
from trtkit.optional import need
from trtkit.serve.access import Keys
from trtkit.serve.app import make_app
from trtkit.serve.connection import connections
from trtkit.serve.gate import Gate
from trtkit.serve.limits import Limits
from trtkit.serve.service import Service


def run(
    service: Service, host: str, port: int, keys: Keys, cors: Sequence[str], listening: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished first, and the service is closed.

    `listening` is called with the URL once connections are taken. Raises Mistake for an address that cannot be bound.
    """
    settings = settings_of(make_app(service, keys, cors), service.limits)
    with bind(host, port) as bound:
        listening(url_of(host, bound))
        need("uvicorn", "trtkit serve").Server(settings).run(sockets=[bound])


def settings_of(app: Gate, limits: Limits) -> Any:
    """uvicorn's, for the application."""
    need("httptools", "trtkit serve")
    return need("uvicorn", "trtkit serve").Config(
        app,
        http=connections(limits.seconds),
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=limits.drain,
        lifespan="on",
    )


def url_of(host: str, bound: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{bound.getsockname()[1]}"


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises Mistake for an address that cannot be bound."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # The protocol by name: asyncio turns Nagle's delay off for such sockets alone, and an answer is two writes.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(1024)
        bound.set_inheritable(True)
    except socket.gaierror as error:
        raise Mistake(f"--host {host} is not known ({error.strerror}); {_RIGHT_HOST}") from error
    except OSError as error:
        found = f"--host {host} --port {port} cannot be listened on ({error.strerror or error}); "
        if error.errno == errno.EADDRNOTAVAIL:
            raise Mistake(f"{found}{_RIGHT_HOST}") from error
        if error.errno == errno.EACCES:
            raise Mistake(f"{found}ports below 1024 are for root, the others for all") from error
        raise Mistake(f"{found}is another server there? --port 0 takes a free one") from error
    return bound


_RIGHT_HOST = "give an address of this machine, or 0.0.0.0 for all of them"


class JsonLines(logging.Formatter):
    """One JSON object a line; what the access log says already is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"}
        line["level"] = record.levelname.lower()
        message = record.getMessage()
        if record.name.endswith(".access"):
            line |= json.loads(message)
        else:
            line["message"] = message
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(access: bool = True) -> None:
    """Structured logs on stderr; `access` says whether each request has a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("trtkit.serve", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO if name.startswith("trtkit") else logging.WARNING)
        logger.propagate = False
    logging.getLogger("trtkit.serve.access").disabled = not access
