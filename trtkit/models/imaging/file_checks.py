"""What the bytes of an image file tell before a decoder is asked."""

from __future__ import annotations

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def looks_like_heic(data: bytes) -> bool:
    """True for an ISO media file of a HEVC-coded picture, a phone's own format. AVIF shares the container."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS and b"avif" not in data[8:64]


def missing_end(data: bytes, kind: str) -> str | None:
    """What the end of a JPEG or PNG file lacks, in a few words; None if nothing, or for another `kind`.

    Decoders disagree on a file that stops early: OpenCV 4 fills the rest with grey, OpenCV 5 gives nothing,
    both write to stderr, and Pillow passes a PNG whose pixels end in the last bytes. So it is settled here.
    """
    if kind in ("JPEG", "MPO"):
        return None if _jpeg_ends(data) else "it has no JPEG end marker"
    if kind == "PNG":
        return None if _png_ends(data) else "it has no PNG end chunk"
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


def _png_ends(data: bytes) -> bool:
    """True if the chunks lead to an IEND that is whole."""
    position = 8
    while position + 12 <= len(data):
        if data[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return False
