"""The one file of a multipart form.

Whoever sends a form decides how many parts, lines and half boundaries are in it, so it is searched, which is C's work,
and no byte or line of its content costs a step of Python. Of python_multipart only what reads a header's parameters is
used: its parser refuses what may stand before the first boundary and behind each (RFC 2046), and tells by an index what
is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from trtkit.optional import need
from trtkit.serve.refusal import Refused

PARTS = 64
"""Parts that a form may have: fields that nobody reads may stand beside the file."""

HEADER_BYTES = 8 << 10
"""Bytes that the header lines of one part may have."""

_BLANKS = 64
"""Spaces and tabs that may stand between a boundary and the end of its line."""


def only_file(body: bytes, content_type: str) -> tuple[bytes, str]:
    """(content, name) of the one part that has a file's name; all of it stays in memory.

    Raises Refused (400) for a form that is broken, or has none or several. Nothing is read behind the second.
    """
    multipart = need("python_multipart.multipart", "reading uploads")
    _, parameters = multipart.parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise Refused(400, "the form has no boundary in its Content-Type")
    found: tuple[bytes, str] | None = None
    for headers, start, end in _parts(body, b"\r\n--" + boundary):
        _, named = multipart.parse_options_header(_disposition(headers))
        if b"filename" not in named:
            continue
        if found is not None:
            raise Refused(400, "the form has 2 files or more; right would be one picture a request")
        found = body[start:end], _clean(named[b"filename"])
    if found is None:
        raise Refused(400, "the form has no file; right would be one picture a request")
    return found


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each part: its header lines, each behind a line break, and where its content begins and ends."""
    # The first boundary may stand at the very beginning, without the line break that belongs to the others.
    at = -2 if body.startswith(delimiter[2:]) else body.find(delimiter)
    if at == -1:
        raise Refused(400, "the form is broken: the boundary of its Content-Type is nowhere in it; send it again")
    for number in count():
        after = at + len(delimiter)
        if body.startswith(b"--", after):
            return
        if number == PARTS:
            raise Refused(400, f"the form has more than {PARTS} parts; right would be one picture a request")
        headers = _headers_begin(body, after)
        content = _headers_end(body, headers)
        # Where the content is empty, the line break before the boundary may be the empty line's own.
        at = body.find(delimiter, content - 2)
        if at == -1:
            raise _cut_short()
        yield body[headers : content - 4], content, at


def _headers_begin(body: bytes, after: int) -> int:
    """Where the line of a boundary ends, the boundary itself at `after`."""
    end = body.find(b"\r\n", after, after + _BLANKS)
    if end == -1 and after + _BLANKS > len(body):
        raise _cut_short()
    if end == -1 or body[after:end].strip(b" \t"):
        raise Refused(400, "the form is broken: a line of it begins with its boundary and goes on; send it again")
    return end


def _headers_end(body: bytes, begin: int) -> int:
    """Where the content begins: behind the empty line after the header lines."""
    end = body.find(b"\r\n\r\n", begin, begin + HEADER_BYTES)
    if end == -1 and begin + HEADER_BYTES > len(body):
        raise _cut_short()
    if end == -1:
        raise Refused(400, f"a part of the form has more than {HEADER_BYTES >> 10} KiB of headers; send fewer of them")
    return end + 4


def _cut_short() -> Refused:
    return Refused(400, "the form is cut short: its last boundary is missing; send it again")


def _disposition(headers: bytes) -> bytes:
    """What a part says of its content, empty where it says nothing. Raises Refused for what is no header."""
    found = b""
    for line in headers.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            raise Refused(400, "the form is broken: a part's header has no colon; send it again")
        if name.strip().lower() == b"content-disposition":
            found = value.strip()
    return found


def _clean(name: bytes) -> str:
    """A file's name as it may stand in a sentence."""
    text = name.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text[:60] or "the picture"
