"""Amounts of memory as people write them: '1GiB', '512MiB', '2GB'."""

from __future__ import annotations

import re

from trtkit.errors import Mistake

_UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", re.ASCII)


def parse(text: str | int, option: str) -> int:
    """Bytes in `text`: a number and B, KiB, MiB, GiB, KB, MB or GB in any case; bytes without a unit.

    Raises Mistake naming `option` for anything else and for nothing at all.
    """
    match = _FORM.fullmatch(str(text))
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise Mistake(f"{option} {text} is not an amount of memory; right would be for example 1GiB or 800MiB")
    return int(float(match[1]) * unit)


def text(count: int) -> str:
    """`count` bytes for people, in the unit that leaves at least 1: '1.5 GiB'."""
    for name, unit in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} B"
