"""chain.json: what an imported graph became. It stands beside the ONNX files that it names, and is written last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from trtkit.errors import CheckFailed
from trtkit.files import write_whole
from trtkit.manifest import WeightsRecord
from trtkit.models.imported.plan import Step, from_json

NAME = "chain.json"
SCHEMA_VERSION = 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorRecord(_Part):
    """`shape` has the name of an axis, or null, where the size is only known at run time."""

    name: str
    dtype: str
    shape: list[int | str | None] | None
    value_range: tuple[float, float] = (0.0, 0.0)


class NetworkRecord(_Part):
    """A network that was cut out; `tolerance` is what its FP16 form may differ by on average, in its outputs' units."""

    inputs: list[TensorRecord]
    outputs: list[TensorRecord]
    keep_fp32: dict[str, str]
    tolerance: float
    sha256: str


class HostRecord(_Part):
    """A node that stays on the host, and why."""

    name: str
    operator: str
    why: str


class ChainRecord(_Part):
    schema_version: int = SCHEMA_VERSION
    model: str
    weights: WeightsRecord
    graph: str
    """The frozen graph's file name."""
    made_with: dict[str, str]
    inputs: list[TensorRecord]
    fixed_inputs: list[str] = []
    outputs: list[str]
    steps: list[dict[str, Any]]
    networks: dict[str, NetworkRecord]
    hosts: dict[str, str]
    """Stretch of host work → sha256 of its ONNX file."""
    on_host: list[HostRecord]
    checks: dict[str, Any]
    build_key: str

    @property
    def plan(self) -> tuple[Step, ...]:
        return from_json(self.steps)


def name_of(side: str = "") -> str:
    """The chain's file name: 'chain.json', or 'SIDE.chain.json' for a graph beside a model's own networks."""
    return f"{side}.{NAME}" if side else NAME


def path_in(folder: Path, name: str = NAME) -> Path:
    return folder / name


def write(folder: Path, record: ChainRecord, name: str = NAME) -> None:
    text = json.dumps(record.model_dump(mode="json"), indent=1) + "\n"
    write_whole(path_in(folder, name), text.encode())


def read(folder: Path, name: str = NAME) -> ChainRecord | None:
    """The chain in `folder`, None if there is none. Raises CheckFailed if it is damaged or of another version."""
    path = path_in(folder, name)
    if not path.is_file():
        return None
    try:
        record = ChainRecord.model_validate_json(path.read_bytes())
        record.plan  # noqa: B018 - raises for steps this version does not know
    except (ValidationError, KeyError, TypeError) as error:
        detail = " ".join(str(error).split())[:160]
        raise CheckFailed(f"{path} is not a whole chain ({detail}); export the model again with --force") from error
    if record.schema_version != SCHEMA_VERSION:
        raise CheckFailed(
            f"{path} has schema version {record.schema_version}, this trtkit reads {SCHEMA_VERSION}; "
            "export the model again"
        )
    return record
