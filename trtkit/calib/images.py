"""The images a calibration sees: a folder of the user's, or the drawn set; opened one at a time, hashed by content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from trtkit.errors import Mistake
from trtkit.export.photographs import SUFFIXES
from trtkit.files import sha256

Draw = Callable[[np.random.Generator, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ImageSet:
    """`hashes`: name → sha256 of the file, in the order of use; `open_one(name)` gives its RGB
    pixels, uint8 [H, W, 3]."""

    source: Literal["folder", "drawn", "photographs"]
    hashes: dict[str, str]
    open_one: Callable[[str], np.ndarray]

    def __len__(self) -> int:
        return len(self.hashes)

    def spread(self, count: int) -> list[str]:
        """At most `count` names, evenly spaced."""
        return evenly(list(self.hashes), count)

    def named(self, digests: list[str]) -> list[str]:
        """What the images of these contents are called here."""
        return [name for name, digest in self.hashes.items() if digest in digests]

    def without(self, names: list[str]) -> ImageSet:
        return replace(self, hashes={name: digest for name, digest in self.hashes.items() if name not in names})

    def pixels(self, names: list[str] | None = None) -> Iterator[np.ndarray]:
        """The images, one in memory at a time. Raises Mistake naming the first file that does not decode."""
        for name in self.hashes if names is None else names:
            yield self.open_one(name)


def from_folder(folder: Path, limit: int | None) -> ImageSet:
    """The images of `folder` (not of folders in it), at most `limit` of them, evenly spaced over the sorted names.

    Raises Mistake naming --images if it is no folder, holds none or cannot be read.
    """
    if not folder.is_dir():
        raise Mistake(f"--images {folder} is not a folder; name a folder of photographs")
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not names:
        raise Mistake(f"--images {folder} holds no photograph ({', '.join(sorted(SUFFIXES))})")
    names = evenly(names, limit or len(names))
    try:
        with ThreadPoolExecutor() as pool:
            hashes = dict(zip(names, pool.map(lambda name: sha256(folder / name), names), strict=True))
    except OSError as error:
        raise Mistake(f"--images {folder}: {error.filename} cannot be read ({error.strerror})") from error

    def open_one(name: str) -> np.ndarray:
        from trtkit.models.imaging.decode import decode

        return decode(folder / name).rgb

    return ImageSet("folder", hashes, open_one)


def drawn(limit: int | None, draw: Draw | None = None, held_out: bool = False) -> ImageSet:
    """The seeded set of drawn portraits that stands in where no photographs are named; with `draw`, of what that puts
    into a picture (models.studied). `held_out`: others, for evaluation.

    Its hashes are of the code that draws them, which is quicker than drawing, and of one picture of `draw`; the
    libraries' versions are a part of the key beside them.
    """
    from trtkit.calib import drawing

    first = drawing.HELD_OUT if held_out else 0
    code = sha256(Path(drawing.__file__))
    if draw is not None:
        code += hashlib.sha256(drawing.scene(0, draw).tobytes()).hexdigest()
    count = limit or drawing.COUNT
    numbers = {f"drawn-{number:03}": number for number in range(first, first + count)}
    hashes = {name: hashlib.sha256(f"{code} {number}".encode()).hexdigest() for name, number in numbers.items()}
    if draw is None:
        return ImageSet("drawn", hashes, lambda name: drawing.portrait(numbers[name]))
    return ImageSet("drawn", hashes, lambda name: drawing.scene(numbers[name], draw))


def shipped(limit: int | None = None) -> ImageSet:
    """scikit-image's photographs, among them a portrait, at most `limit` of them: what exports are checked on, and
    nothing is calibrated on."""
    from trtkit.export.photographs import photographs

    pictures = {f"photograph-{number}": pixels for number, pixels in enumerate(photographs())}
    names = evenly(list(pictures), limit or len(pictures))
    hashes = {name: hashlib.sha256(pictures[name].tobytes()).hexdigest() for name in names}
    return ImageSet("photographs", hashes, lambda name: pictures[name])


def evenly(names: list[str], count: int) -> list[str]:
    if count >= len(names):
        return names
    if count == 1:
        return names[:1]
    return [names[round(i * (len(names) - 1) / (count - 1))] for i in range(count)]
