"""What `trtkit infer` was given to work on, and where each result goes."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

from trtkit.errors import Mistake

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif")


@dataclass(frozen=True)
class Job:
    """`target` is the result's file, or, for a model that gives several files, what their names begin with."""

    source: Path
    target: Path


def jobs(what: list[str], out: Path | None, tag: str, suffix: str) -> list[Job]:
    """One job a picture. `what` are files, folders or glob patterns; results are named STEM.TAG.SUFFIX, or begin with
    STEM.TAG where the `suffix` is empty: then there are several of each picture.

    With one file, `out` may be the result's own name; otherwise it is a folder. Without `out`, results lie beside
    their pictures. Raises Mistake if nothing matches, if a result would replace its picture, or if `out` is a file
    where a folder is needed.
    """
    sources = [path for item in what for path in _expand(item, f".{tag}.")]
    single = len(sources) == 1 and len(what) == 1 and not Path(what[0]).is_dir()
    if out is not None and single and out.suffix and not out.is_dir():
        if not suffix:
            raise Mistake(f"--out {out} names a file, and each picture gives several; name a folder")
        made = [Job(sources[0], out)]
    else:
        if out is not None and out.exists() and not out.is_dir():
            raise Mistake(f"--out {out} is a file; for {len(sources)} pictures it must be a folder")
        made = [Job(source, (out or source.parent) / f"{source.stem}.{tag}{suffix}") for source in sources]
        made = _apart(made, tag, suffix)
    for job in made:
        if job.target.resolve() == job.source.resolve():
            raise Mistake(f"--out {job.target} would replace the picture itself; name another file")
    return made


def _expand(item: str, made_by_us: str) -> list[Path]:
    path = Path(item)
    if path.is_dir():
        try:
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file())
        except OSError as error:
            raise Mistake(f"{path} cannot be listed: {error.strerror}") from error
        found = [p for p in found if made_by_us not in p.name]
        if not found:
            raise Mistake(f"{path} holds no pictures ({', '.join(PICTURE_SUFFIXES)})")
        return found
    if path.exists() or not glob.has_magic(item):
        return [path]
    matches = sorted(Path(p) for p in glob.glob(item, recursive=True) if Path(p).is_file())
    matches = [p for p in matches if p.suffix.lower() in PICTURE_SUFFIXES and made_by_us not in p.name]
    if not matches:
        raise Mistake(f"'{item}' matches no picture ({', '.join(PICTURE_SUFFIXES)})")
    return matches


def _apart(made: list[Job], tag: str, suffix: str) -> list[Job]:
    """a.jpg and a.png must not both become a.cutout.png: the later ones keep their suffix in the name."""
    taken: set[Path] = set()
    result = []
    for job in made:
        target, number = job.target, 1
        while target in taken:
            kind = job.source.suffix.lstrip(".").lower()
            target = job.target.with_name(f"{job.source.stem}.{kind}{'' if number == 1 else number}.{tag}{suffix}")
            number += 1
        taken.add(target)
        result.append(Job(job.source, target))
    return result
