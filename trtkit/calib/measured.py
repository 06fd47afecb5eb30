"""What `trtkit evaluate` found, kept beside the artifacts: accuracy and speed of each precision, a record a device.

`build --precision auto` reads it: INT8 is taken where it was measured, never where it is hoped for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from trtkit.errors import CheckFailed
from trtkit.file_lock import alone
from trtkit.files import write_whole


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Form(_Part):
    """One precision. `onnx_sha256`: the ONNX that ran, or that the engine was built from; `figures`: accuracy.summary's
    against FP32; `seconds`: median of a whole run."""

    onnx_sha256: str
    figures: dict[str, float]
    seconds: float


class Speed(_Part):
    """How many times as fast as FP16 INT8 is: of the rounds the median, the least and the greatest."""

    median: float
    least: float
    greatest: float


class Record(_Part):
    """One evaluation. `capability`: the GPU's, None on a CPU; `shape`: of the timed input."""

    backend: str
    device: str
    capability: str | None
    images: int
    shape: list[int]
    rounds: int
    forms: dict[str, Form]
    int8_over_fp16: Speed | None


class Records(_Part):
    schema_version: Literal[1] = 1
    records: list[Record] = []


def read(path: Path) -> list[Record]:
    """All records, newest last; none if there is no file. Raises CheckFailed for a file that is not trtkit's."""
    if not path.is_file():
        return []
    try:
        return Records.model_validate_json(path.read_bytes()).records
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CheckFailed(f"{path}: {where}: {first['msg']}; delete it and run trtkit evaluate again") from error


def keep(path: Path, record: Record) -> None:
    """Add `record`, in place of an older one of the same backend and device; another evaluation's beside it stays."""
    with alone(path):
        others = [old for old in read(path) if (old.backend, old.device) != (record.backend, record.device)]
        write_whole(path, (Records(records=[*others, record]).model_dump_json(indent=2) + "\n").encode())


def figures_of(path: Path, onnx_sha256: str) -> dict[str, float] | None:
    """Accuracy of the INT8 form with this ONNX in the newest evaluation that has it, or None."""
    for record in reversed(read(path)):
        form = record.forms.get("int8")
        if form is not None and form.onnx_sha256 == onnx_sha256 and form.figures:
            return form.figures
    return None
