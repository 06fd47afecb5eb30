"""What `trtkit infer` was given to work on, and where each result goes."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtkit.errors import Mistake
from trtkit.files import check_writable
from trtkit.infer.overlap import Places, check_overlap
from trtkit.models.imaging.decode import check_readable
from trtkit.models.imaging.encode import check_suffix

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")


@dataclass(frozen=True)
class Job:
    """`target` is the result's file, or, for a model that gives several files, what their names begin with."""

    source: Path
    target: Path


def jobs(
    what: list[str], out: Path | None, tag: str, suffix: str, options: Mapping[str, Any] | None = None
) -> list[Job]:
    """One job a picture, in the order of `what`: files, folders or glob patterns. One that is named twice is done once.
    Results are named STEM.TAG.SUFFIX, or begin with STEM.TAG where the `suffix` is empty: then there are several of
    each picture. Those of earlier runs are not taken from a folder or by a pattern.

    With one file, `out` may be the result's own name; otherwise it is a folder. Without `out`, results lie beside
    their pictures. Raises Mistake if a name is empty, if nothing matches, if none of the pictures is there, if a result
    would replace one of the pictures or a file that the model's `options` name, if `out` is or names a file where a
    folder is needed, and for a result that can be seen not to be writable.
    """
    if "" in what:
        raise Mistake("the name of a picture is empty; name a file, a folder ('.' for this one) or a pattern")
    places = Places()
    distinct: dict[str, Path] = {}
    for path in (path for item in what for path in _expand(item, f".{tag}.")):
        # By folder and name, not by what a link leads to: two links to one file are two names, and two results.
        distinct.setdefault(places.entry(path), path)
    sources = list(distinct.values())
    _check_any_is_there(sources)
    single = len(sources) == 1 and len(what) == 1 and not os.path.isdir(what[0])
    if out is not None and single and out.suffix and not os.path.isdir(out):
        if not suffix:
            raise Mistake(f"--out {out} names a file, and each picture gives several; name a folder")
        check_suffix(out.suffix, str(out))
        made = [Job(sources[0], out)]
    else:
        if out is not None and os.path.exists(out) and not os.path.isdir(out):
            raise Mistake(f"--out {out} is a file; for {len(sources)} pictures it must be a folder")
        if out is not None and out.suffix.lower() in PICTURE_SUFFIXES and not os.path.isdir(out):
            raise Mistake(f"--out {out} names a picture; name a folder, since results may be several")
        made = [Job(source, (out or source.parent) / f"{source.stem}.{tag}{suffix}") for source in sources]
        made = _apart(made, tag, suffix, places)
    check_overlap(made, not suffix, options or {}, places)
    for job in made:
        check_writable(job.target if suffix else job.target.with_name(f"{job.target.name}.*"))
    return made


def _check_any_is_there(sources: list[Path]) -> None:
    """One that is missing among others is told where its turn comes; where all are, nothing needs to be loaded."""
    for number, path in enumerate(sources):
        try:
            check_readable(path)
        except Mistake as mistake:
            if number < len(sources) - 1:
                continue
            none = f" (none of {len(sources)} can be read)" if number else ""
            raise Mistake(f"{mistake}{none}") from mistake
        return


def _expand(item: str, made_by_us: str) -> list[Path]:
    path = Path(item)
    # os.path calls what may not be looked at absent, where Path raises; check_readable then says why.
    if os.path.isdir(path):
        try:
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())
        except OSError as error:
            raise Mistake(f"{path} cannot be listed: {error.strerror}") from error
        return _without_results(found, made_by_us, f"{path} holds no pictures")
    if os.path.exists(path) or not glob.has_magic(item):
        return [path]
    matches = sorted(Path(p) for p in glob.glob(item, recursive=True) if Path(p).is_file())
    matches = [p for p in matches if p.suffix.lower() in PICTURE_SUFFIXES]
    return _without_results(matches, made_by_us, f"'{item}' matches no picture")


def _without_results(found: list[Path], made_by_us: str, nothing: str) -> list[Path]:
    """`found` without results of earlier runs. Raises Mistake, beginning with `nothing`, where none is left."""
    pictures = [path for path in found if made_by_us not in path.name]
    if found and not pictures:
        raise Mistake(f"{nothing} but results of earlier runs (*{made_by_us}*); to work on those, name each of them")
    if not pictures:
        raise Mistake(f"{nothing} ({', '.join(PICTURE_SUFFIXES)})")
    return pictures


def _apart(made: list[Job], tag: str, suffix: str, places: Places) -> list[Job]:
    """a.jpg and a.png must not both become a.cutout.png: the later ones keep their suffix in the name."""
    taken: set[str] = set()
    result = []
    for job in made:
        target, number = job.target, 1
        while places.entry(target) in taken:
            kind = job.source.suffix.lstrip(".").lower()
            target = job.target.with_name(f"{job.source.stem}.{kind}{'' if number == 1 else number}.{tag}{suffix}")
            number += 1
        taken.add(places.entry(target))
        result.append(Job(job.source, target))
    return result
