"""What the bytes of an image file tell before a decoder is asked."""

from __future__ import annotations

import zlib

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def looks_like_heic(data: bytes) -> bool:
    """True for an ISO media file of a HEVC-coded picture, a phone's own format. AVIF shares the container."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS and b"avif" not in data[8:64]


def flaw(data: bytes, kind: str) -> str | None:
    """Why a JPEG or PNG file (Pillow's name in `kind`) is not whole, in a few words; None if it is, or is another kind.

    Decoders disagree on such files: OpenCV 4 fills what is missing with grey, OpenCV 5 gives nothing, both
    write to stderr, and Pillow checks neither the end nor the checksums of a PNG. So it is settled here.
    """
    if kind in ("JPEG", "MPO"):
        return None if _jpeg_ends(data) else "it has no end marker"
    if kind == "PNG":
        return _png_flaw(data)
    return None


def _jpeg_ends(data: bytes) -> bool:
    """True if an end marker follows the first scan; one of a thumbnail within the headers does not count."""
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return False
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a length
            position += 2
        elif marker == 0xDA:
            return data.find(b"\xff\xd9", position) >= 0
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def _png_flaw(data: bytes) -> str | None:
    """Walks the chunks up to IEND; the checksum is asked of those that pixels need, whose names are capitals."""
    view = memoryview(data)
    position = 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        name = data[position + 4 : position + 8]
        critical = not name[0] & 0x20
        if critical and zlib.crc32(view[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return "it ends early" if end + 4 > len(data) else "a checksum is wrong"
        if name == b"IEND":
            return None
        position = end + 4
    return "it ends early"
