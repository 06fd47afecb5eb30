"""What `trtkit evaluate` found, kept beside the artifacts: accuracy and speed of each precision, a record a device.

`build --precision auto` reads it, and so does whoever opens an engine: INT8 is taken where it was measured, never where
it is hoped for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from trtkit.artifacts import at_root
from trtkit.calib import judge
from trtkit.config import NetworkConfig
from trtkit.errors import CheckFailed
from trtkit.file_lock import alone
from trtkit.files import reading, write_whole
from trtkit.models.spec import NetworkSpec


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
    """What is known of one device. `capability`: the GPU's, None on a CPU; `shape`: of the timed input. `images`,
    `shape` and `rounds` are the newest evaluation's; forms that it left out, and their speed, are as an earlier one
    found them."""

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
    """All records, the newest INT8 last; none if there is no file. Raises CheckFailed for a file that is not trtkit's,
    Mistake for one that cannot be read."""
    if not path.is_file():
        return []
    with reading(path):
        content = path.read_bytes()
    try:
        return Records.model_validate_json(content).records
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CheckFailed(f"{path}: {where}: {first['msg']}; delete it and run trtkit evaluate again") from error


def keep(path: Path, record: Record) -> None:
    """Add `record` to what is known of its backend and device: its forms take the place of older ones, and those that
    it lacks stay."""
    with alone(path):
        records = _with(read(path), record)
        write_whole(path, (Records(records=records).model_dump_json(indent=2) + "\n").encode())


def _with(records: list[Record], new: Record) -> list[Record]:
    old = next((one for one in records if (one.backend, one.device) == (new.backend, new.device)), None)
    if old is None:
        return [*records, new]
    joined = _joined(old, new)
    # Whoever reads asks for the newest INT8: a record that got none is no newer than it was.
    if "int8" not in new.forms:
        return [joined if one is old else one for one in records]
    return [*(one for one in records if one is not old), joined]


def _joined(old: Record, new: Record) -> Record:
    """`new` with the forms that `old` alone has, and with its speed if that is still one of the same two forms."""
    forms = {**old.forms, **new.forms}
    speed = new.int8_over_fp16
    if speed is None and all(_onnx(forms, kind) == _onnx(old.forms, kind) for kind in ("fp16", "int8")):
        speed = old.int8_over_fp16
    return new.model_copy(update={"forms": forms, "int8_over_fp16": speed})


def _onnx(forms: Mapping[str, Form], precision: str) -> str | None:
    return forms[precision].onnx_sha256 if precision in forms else None


@dataclass(frozen=True)
class Verdict:
    """Which of the two is to be used. `why`: of INT8 what it did ('ran …'), of FP16 what keeps INT8 from being used."""

    precision: Literal["fp16", "int8"]
    why: str


def verdict(
    path: Path, where: tuple[str, str], onnx: Mapping[str, str], settings: NetworkConfig, spec: NetworkSpec
) -> Verdict | None:
    """INT8 if it is within its tolerance and ran faster than FP16, else FP16; None if that was not measured.

    `path`: of the records; `where`: backend and compute capability; `onnx`: precision → sha256 of the ONNX, of those
    forms that must be the ones that ran.
    """
    record = _newest(path, where, onnx)
    if record is None or record.int8_over_fp16 is None or not record.forms["int8"].figures:
        return None
    excesses = judge.excesses(record.forms["int8"].figures, settings, spec)
    if excesses:
        return Verdict("fp16", f"INT8 has {'; '.join(excesses)}")
    speed = record.int8_over_fp16.median
    if speed <= 1:
        return Verdict("fp16", f"INT8 ran {speed:.2f} x as fast on {record.device}")
    return Verdict("int8", f"ran {speed:.2f} x as fast as FP16 on {record.device}")


def _newest(path: Path, where: tuple[str, str], onnx: Mapping[str, str]) -> Record | None:
    for record in reversed(read(path)):
        same = all(_onnx(record.forms, kind) == sha256 for kind, sha256 in onnx.items())
        if (record.backend, record.capability) == where and same:
            return record
    return None


def path_of(root: Path, folder: str, network: str) -> Path:
    """Where a network's records lie."""
    return root / folder / f"{network}.evaluation.json"


def command(model: str, backend: str, root: Path) -> str:
    """The one that measures what `verdict` asks for; `model` as a command names it."""
    there = at_root(root, "--artifacts")
    return f"trtkit evaluate {model} --precision fp16,int8 --backend {backend} --images DIR{there}"


def figures_of(path: Path, onnx_sha256: str) -> dict[str, float] | None:
    """Accuracy of the INT8 form with this ONNX in the newest evaluation that has it, or None."""
    for record in reversed(read(path)):
        form = record.forms.get("int8")
        if form is not None and form.onnx_sha256 == onnx_sha256 and form.figures:
            return form.figures
    return None
