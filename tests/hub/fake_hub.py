"""A hub on the loopback, from the protocol's facts: lists a revision's files and hands them out, or misbehaves."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

Files = dict[str, bytes]


@dataclass
class FakeHub:
    """`repositories` is (OWNER/NAME, revision) → files. What it does wrong is set in the other fields."""

    repositories: dict[tuple[str, str], Files]
    private: bool = False
    """Every request is refused with 401."""
    forbidden: bool = False
    """Every request is refused with 403."""
    damaged: dict[str, int] = field(default_factory=dict)
    """File → how many times it is handed out with a wrong byte."""
    cut: dict[str, list[int]] = field(default_factory=dict)
    """File → after how many bytes each of its next answers breaks off."""
    bytes_per_second: float | None = None
    stalls: set[str] = field(default_factory=set)
    """Files whose body never comes: headers and half of it, then silence."""
    without_sums: bool = False
    gone_after: int | None = None
    """After that many bytes of files altogether, the hub closes every connection and answers no more."""
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    sent: int = 0

    def __enter__(self) -> FakeHub:
        hub = self

        class Handler(_Handler):
            state = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self._up = True
        return self

    def __exit__(self, *exception: object) -> None:
        self.leave()

    def leave(self) -> None:
        """No more of it: connections are refused from now on."""
        if self._up:
            self._up = False
            self._server.shutdown()
            self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        hub = self.state
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        hub.requests.append(self.path)
        if hub.gone_after is not None and hub.sent >= hub.gone_after:
            self.close_connection = True
            return
        if hub.private or hub.forbidden:
            self._json(401 if hub.private else 403, {"Code": 10010, "Success": False, "Message": "no access"})
            return
        parts = url.path.strip("/").split("/")
        if parts[:3] != ["api", "v1", "models"] or len(parts) < 6:
            self._json(404, {"Code": 404, "Success": False, "Message": "not found"})
            return
        files = hub.repositories.get(("/".join(parts[3:5]), query.get("Revision", "")))
        if files is None:
            self._json(404, {"Code": 10010205001, "Success": False, "Message": "revision not found"})
        elif parts[5:] == ["repo", "files"]:
            self._json(200, {"Code": 200, "Success": True, "Data": {"Files": self._entries(files)}})
        elif parts[5:] == ["repo"] and unquote(query.get("FilePath", "")) in files:
            self._file(unquote(query["FilePath"]), files[unquote(query["FilePath"])])
        else:
            self._json(404, {"Code": 404, "Success": False, "Message": "file not found"})

    def _entries(self, files: Files) -> list[dict[str, object]]:
        folders = {name.rpartition("/")[0] for name in files if "/" in name}
        entries: list[dict[str, object]] = [{"Name": f, "Path": f, "Type": "tree", "Size": 0} for f in sorted(folders)]
        for name, content in files.items():
            entry = {"Name": name.rpartition("/")[2], "Path": name, "Type": "blob", "Size": len(content)}
            if not self.state.without_sums:
                entry["Sha256"] = hashlib.sha256(content).hexdigest()
            entries.append(entry)
        return entries

    def _json(self, status: int, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, name: str, content: bytes) -> None:
        hub = self.state
        if hub.damaged.get(name, 0) > 0:
            hub.damaged[name] -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = 0
        if wanted := self.headers.get("Range"):
            hub.ranges.append(f"{name} {wanted}")
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        if start >= len(content) and content:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self._body(name, content[start:])

    def _body(self, name: str, body: bytes) -> None:
        hub = self.state
        limit = hub.cut[name].pop(0) if hub.cut.get(name) else len(body)
        if name in hub.stalls:
            limit = len(body) // 2
        step = 16384
        for offset in range(0, limit, step):
            block = body[offset : min(offset + step, limit)]
            self.wfile.write(block)
            hub.sent += len(block)
            if hub.bytes_per_second:
                time.sleep(len(block) / hub.bytes_per_second)
            if hub.gone_after is not None and hub.sent >= hub.gone_after:
                self.close_connection = True
                self.connection.close()
                return
        if name in hub.stalls:
            time.sleep(60)
        if limit < len(body):
            self.close_connection = True


Start = Callable[..., FakeHub]
