"""The real photographs that exported networks are checked on: the user's own, or scikit-image's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trtkit.errors import Mistake
from trtkit.optional import need

_SHIPPED = ("astronaut", "coffee", "chelsea")
"""Photographs inside scikit-image's wheel (no download): a portrait, a still life, a cat."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


def photographs(folder: Path | None = None, limit: int = 3) -> list[np.ndarray]:
    """At most `limit` RGB uint8 [H, W, 3] photographs from `folder`, or scikit-image's own.

    Raises Mistake naming --images if the folder holds none.
    """
    if folder is None:
        data = need("skimage.data", "checking a network on photographs (or name your own with --images)")
        return [getattr(data, name)() for name in _SHIPPED[:limit]]
    from trtkit.models.imaging.decode import decode

    return [decode(path).rgb for path in files_in(folder)[:limit]]


def files_in(folder: Path) -> list[Path]:
    """The photographs of `folder` by name. Raises Mistake naming --images if it is none or holds none."""
    if not folder.is_dir():
        raise Mistake(f"--images {folder} is not a folder; name a folder of photographs")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise Mistake(f"--images {folder} holds no photograph ({', '.join(sorted(SUFFIXES))})")
    return files
