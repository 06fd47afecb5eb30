"""Who may use the server: API keys, or a session of the page that was opened with one."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from pathlib import Path

from trtkit.errors import Mistake
from trtkit.files import why_unreadable
from trtkit.serve.ended import ID_BYTES, Ended

KEYS_VARIABLE = "TRTKIT_API_KEYS"
COOKIE = "trtkit_session"
_SHORTEST = 16
_SESSION_SECONDS = 7 * 24 * 3600


class Keys:
    """The API keys of a server; none at all lets everybody in. Keys are held as hashes and compared in constant time.

    A session is a cookie of the page: an id, when it is over, and an HMAC of both and of the key's hash under a secret
    of this server, so nothing has to be kept of one that is open, and it ends with the server.
    """

    def __init__(self, keys: list[str], secret: bytes | None = None, ended: Ended | None = None) -> None:
        """`secret` and `ended` are shared by the processes of one server."""
        self._hashes = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._secret = secret or secrets.token_bytes(32)
        self._ended = ended or Ended(memoryview(bytearray(Ended.SIZE)))

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def knows(self, key: str) -> bool:
        given = hashlib.sha256(key.encode()).digest()
        return any(hmac.compare_digest(given, known) for known in self._hashes)

    def session(self, key: str) -> str:
        """What the page's cookie holds for `key`; another one each time."""
        begin = f"{secrets.token_hex(ID_BYTES)}.{int(time.time()) + _SESSION_SECONDS}"
        return f"{begin}.{self._signature(begin, hashlib.sha256(key.encode()).digest())}"

    def knows_session(self, cookie: str) -> bool:
        session = self._read(cookie)
        return session is not None and session[0] not in self._ended

    def end_session(self, cookie: str) -> None:
        """From now on it is as unknown as any other that this server did not make."""
        session = self._read(cookie)
        if session is not None and session[0] not in self._ended:  # once more would put another one out of its place
            self._ended.add(*session)

    def _read(self, cookie: str) -> tuple[bytes, int] | None:
        """(id, when it is over) of a session that this server made and whose time is not over."""
        begin, _, given = cookie.rpartition(".")
        signatures = [self._signature(begin, known) for known in self._hashes]
        if not any(hmac.compare_digest(given.encode(), signature.encode()) for signature in signatures):
            return None
        name, _, until = begin.partition(".")
        return (bytes.fromhex(name), int(until)) if int(until) > time.time() else None

    def _signature(self, begin: str, key_hash: bytes) -> str:
        return hmac.new(self._secret, key_hash + begin.encode(), "sha256").hexdigest()


def session_in(cookies: str) -> str:
    """The page's session in a Cookie header, empty where there is none."""
    for piece in cookies.split(";"):
        name, _, value = piece.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def read_keys(file: Path | None) -> list[str]:
    """Keys from `file`, one a line ('#' begins a comment), else from the environment variable, separated by commas.

    Never from the command line, where every user of the machine could read them. Raises Mistake, naming the source.
    """
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()  # an editor's byte order mark is no part of a key
        except (OSError, UnicodeDecodeError) as error:
            raise Mistake(f"--api-keys {file} cannot be read: {why_unreadable(error)}") from error
        keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
        if not keys:
            raise Mistake(f"--api-keys {file} has no key; write one a line, at least {_SHORTEST} characters each")
        source = f"--api-keys {file}"
    else:
        keys = [key.strip() for key in os.environ.get(KEYS_VARIABLE, "").split(",") if key.strip()]
        source = f"${KEYS_VARIABLE}"
    for number, key in enumerate(keys, 1):
        if len(key) < _SHORTEST:
            raise Mistake(
                f"{source}: key {number} has {len(key)} characters; right would be at least {_SHORTEST}, for example "
                "from: python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise Mistake(f"{source}: key {number} has characters that no header carries; right would be plain ASCII")
    return keys


def check_address(host: str, keys: bool, no_auth: bool) -> None:
    """Raises Mistake for an address that others can reach, with neither keys nor the explicit word."""
    if not (keys or no_auth or is_loopback(host)):
        raise Mistake(
            f"--host {host} can be reached by others, and there are no API keys; give --api-keys FILE or "
            f"${KEYS_VARIABLE}, or say --no-auth"
        )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
