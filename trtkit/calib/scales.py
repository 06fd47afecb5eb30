"""The scales file: what a calibration found, readable, and for which network and images it holds."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from trtkit.calib.key import Key
from trtkit.errors import CheckFailed
from trtkit.files import write_whole

_DIGEST = "sha256"
"""The key of a digest of everything else in the file: a single scale that is wrong would be used in silence."""


class TensorRange(BaseModel):
    """`peak`: the largest magnitude seen; `limit`: the largest that INT8 still represents, as 127 steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    peak: float
    limit: float

    @field_validator("peak", "limit")
    @classmethod
    def _is_a_range(cls, value: float) -> float:
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"must be a finite number above 0, found {value}")
        return value


class Scales(BaseModel):
    """One network's calibration. A tensor's scale is its limit / 127, or its group's largest limit / 127. `unseen`:
    sha256 of the images that show nothing for the network, and count for nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    model: str
    network: str
    image_source: Literal["folder", "drawn", "photographs"]
    key: Key
    unseen: list[str] = []
    tensors: dict[str, TensorRange]

    @property
    def limits(self) -> dict[str, float]:
        return {name: found.limit for name, found in self.tensors.items()}


def content(scales: Scales) -> bytes:
    """The canonical JSON: the same calibration gives the same bytes, which end with a digest of what is before."""
    fields = scales.model_dump(mode="json")
    # allow_nan: a NaN must not reach the file by any way.
    return (json.dumps(fields | {_DIGEST: _digest(fields)}, indent=2, allow_nan=False) + "\n").encode()


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def write(path: Path, scales: Scales) -> str:
    """Whole or not at all; gives the file's sha256. Raises Mistake when the disk is full or the folder cannot be
    written."""
    raw = content(scales)
    write_whole(path, raw)
    return hashlib.sha256(raw).hexdigest()


def read(path: Path) -> Scales:
    """Raises CheckFailed, naming the file and the key that is wrong, for anything but a scales file."""
    return read_with_digest(path)[0]


def read_with_digest(path: Path) -> tuple[Scales, str]:
    """The scales and the sha256 of the very bytes they were read from. Raises as `read` does."""
    raw = path.read_bytes()
    try:
        fields = json.loads(raw)
        digest = fields.pop(_DIGEST, None) if isinstance(fields, dict) else None
        found = Scales.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CheckFailed(f"{path}: {where}: {first['msg']}; calibrate again with --force") from error
    except (ValueError, RecursionError) as error:
        raise CheckFailed(f"{path} is not JSON ({error}); calibrate again with --force") from error
    if digest != _digest(found.model_dump(mode="json")):
        raise CheckFailed(f"{path} was damaged or edited since it was made; calibrate again with --force")
    return found, hashlib.sha256(raw).hexdigest()
