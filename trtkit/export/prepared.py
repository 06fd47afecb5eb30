"""An artifact of an export between its making and its name, and what all forms have in common."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from trtkit import manifest
from trtkit.errors import CheckFailed, TrtkitError
from trtkit.export.photographs import files_in
from trtkit.files import sha256, write_in_order
from trtkit.manifest import CameOut, Manifest
from trtkit.models.spec import GREY, NetworkSpec

MOST_PICTURES = 24
"""Photographs of --images in which the range of FP16 is looked for; the first three are compared output by output."""

FORM_VERSION = 1
"""Part of every key: raised when the same weights would give another graph."""


@dataclass(frozen=True)
class Exported:
    path: Path
    manifest: Manifest
    made: bool
    """False if it was up to date."""
    seconds: float
    note: str = ""
    """For people: why it was made, where they did not ask for it."""


@dataclass(frozen=True)
class Prepared:
    """An artifact that is made and checked, before it has its name. `content`: None if what has it is up to date."""

    path: Path
    manifest: Manifest
    content: bytes | None
    seconds: float

    def graph(self) -> ModelProto:
        """Raises CheckFailed if another process has written other bytes since."""
        content = manifest.content_of(self.path, self.manifest) if self.content is None else self.content
        return onnx.load_from_string(content)

    def stands(self) -> bool:
        """Whether what was up to date still lies there: another process may have written since."""
        if self.content is not None:
            return True
        try:
            return manifest.read(self.path).came_out.sha256 == self.manifest.came_out.sha256
        except TrtkitError:
            return False

    def files(self) -> list[tuple[Path, bytes]]:
        """What is to be written; nothing of what is up to date."""
        return [] if self.content is None else manifest.files_of(self.path, self.content, self.manifest)

    def exported(self) -> Exported:
        """As it is once `files` are written."""
        return Exported(self.path, self.manifest, self.content is not None, self.seconds)

    def publish(self) -> Exported:
        write_in_order(self.files())
        return self.exported()


def check_form(content: bytes, subject: str) -> None:
    """onnx.checker's full check, in which RTX's own leniency does not count. Raises CheckFailed."""
    try:
        onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    except Exception as error:
        # checker and shape inference raise different types, all of them meaning 'not valid ONNX'.
        raise CheckFailed(f"{subject} is not valid ONNX: {' '.join(str(error).split())[:300]}") from error


def up_to_date(path: Path, key: str) -> Manifest | None:
    """The manifest of `path` if it has this key and its content is intact, else None: it is made again."""
    try:
        existing = manifest.read(path)
        if existing.build_key != key:
            return None
        manifest.check_content(path, existing)
    except TrtkitError:
        return None
    return existing


def came_out_of(content: bytes, checks: dict[str, Any]) -> CameOut:
    return CameOut(sha256=hashlib.sha256(content).hexdigest(), size=len(content), checks=checks)


def key_of(**parts: Any) -> str:
    return hashlib.sha256(json.dumps({"form": FORM_VERSION, **parts}, sort_keys=True).encode()).hexdigest()


def photographs_of(images: Path | None) -> dict[str, Any]:
    """Which photographs of --images a check looks at, by content; nothing for scikit-image's."""
    if images is None:
        return {}
    chosen = files_in(images)[:MOST_PICTURES]
    return {"photographs": hashlib.sha256("".join(map(sha256, chosen)).encode()).hexdigest()}


def checked_on(record: Manifest, images: Path | None) -> bool:
    """Whether the figures in `record` are of --images, where they were named."""
    return images is None or record.came_out.checks.get("photographs") == photographs_of(images)["photographs"]


def unit_of(spec: NetworkSpec) -> dict[str, str]:
    """What the figures are counted in, where it is not grey levels."""
    return {"unit": spec.unit} if spec.unit != GREY else {}
