"""Bodies in gzip or deflate: what the client sent, bounded; what it will take back."""

from __future__ import annotations

import zlib

from trtkit.serve.refusal import Refused

_WINDOW = {"gzip": 31, "deflate": 15}
"""zlib's window bits; 'deflate' is zlib's format, as RFC 9110 has it and tritonclient sends it."""

_LEVEL = 1
"""Pictures hardly shrink, so time counts more than size."""


def known(encoding: str) -> str:
    """The Content-Encoding in lower case, '' for none. Raises Refused (501, as Triton has it) for another one."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return ""
    if encoding not in _WINDOW:
        raise Refused(501, f"Content-Encoding '{encoding[:40]}' is not known here; right would be gzip or deflate")
    return encoding


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The content of `body`, which is returned as it is for encoding ''.

    Raises Refused: 413 for more than `limit` bytes of content (none beyond are made), 400 for what is damaged.
    """
    if not encoding:
        return body
    stream = zlib.decompressobj(_WINDOW[encoding])
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise Refused(400, f"the body is not {encoding} ({error}); send it again") from error
    if len(content) > limit:
        raise Refused(413, f"the body's content is larger than the limit of {limit / (1 << 20):.3g} MiB; send less")
    if not stream.eof:
        raise Refused(400, f"the body's {encoding} is cut short; send it again")
    return content


def accepted(header: str) -> str:
    """'gzip' or 'deflate', whichever the Accept-Encoding header likes best; '' where it names neither."""
    best, chosen = 0.0, ""
    for part in header.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        quality = _quality(parameters)
        if name.strip() in _WINDOW and quality > best:
            best, chosen = quality, name.strip()
    return chosen


def deflate(body: bytes, encoding: str) -> bytes:
    """`body` in `encoding`, as it is for ''."""
    if not encoding:
        return body
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW[encoding])
    return stream.compress(body) + stream.flush()


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
