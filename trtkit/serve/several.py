"""A result of several files as one answer: all of them in a ZIP, or the one of a kind."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from trtkit.serve.refusal import Refused

_PACKED = (".png", ".glb")
"""These gain next to nothing: PNG is compressed, and most of a GLB is its PNG and floats."""


def one_of(files: Mapping[str, bytes], suffix: str) -> bytes:
    """`files` as a '.zip', else the content of the one whose name ends in `suffix`.

    Raises Refused (406) where there is none or where there are several.
    """
    if suffix == ".zip":
        return _zipped(files)
    found = [content for name, content in files.items() if name.endswith(suffix)]
    if len(found) != 1:
        many = f"{len(found)} {suffix} files" if found else f"no {suffix} file"
        raise Refused(406, f"this result has {many}; right would be: Accept: application/zip, which has all of it")
    return found[0]


def _zipped(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            # ZipInfo's own date is fixed, so equal results are equal files.
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return stream.getvalue()
