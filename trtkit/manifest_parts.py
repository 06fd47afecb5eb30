"""What trtkit itself reads of a manifest's free-form parts, by the kind of its artifact.

Flags, figures and profiles are as various as what makes them. Whoever reads one of them relies on these being there, so
a manifest that is whole JSON and lacks them is refused when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trtkit.invalid import first_problem

_Batches = Annotated[dict[str, "_Apart"], Field(min_length=1)]


class _Part(BaseModel):
    # Strict: what is read is the file's own value, not what it could be turned into.
    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class _Apart(_Part):
    """How far two forms are apart in one batch."""

    max: float
    mean: float


class _Flags(_Part):
    form: int | None = None
    method: str | None = None
    image_source: str | None = None
    worst: list[str] = []
    kept: int = 0
    version_compatible: bool = False


class _Int8Flags(_Flags):
    int8: list[str]
    fp16: list[str]


class _Checks(_Part):
    against_source: _Batches | None = None
    unit: str = ""


class _HalfChecks(_Checks):
    against_fp32: _Batches
    rounded_to_half: _Apart


class _Int8Figures(_Part):
    """accuracy.summary's."""

    __pydantic_extra__: dict[str, float]
    mae: float

    @model_validator(mode="after")
    def _of_one_kind(self) -> _Int8Figures:
        found = self.__pydantic_extra__
        kinds: tuple[set[str], ...] = ({"sad_percent"}, {"psnr", "least_psnr", "ssim"}, {"mae_percent"})
        if not any(kind <= found.keys() for kind in kinds):
            raise ValueError(f"neither an alpha's figures, nor a picture's, nor numbers', found {', '.join(found)}")
        if "vertices_percent" in found and "worst_vertices_percent" not in found:
            raise ValueError("worst_vertices_percent belongs to vertices_percent, and was not found")
        return self


class _Int8Checks(_Checks):
    against_fp32: _Int8Figures


class _Range(_Part):
    min: list[int]
    opt: list[int]
    max: list[int]


class _MadeFor(_Part):
    profiles: list[dict[str, _Range]]


_BY_PRECISION: Mapping[str, tuple[type[_Flags], type[_Checks]]] = {
    "fp16": (_Flags, _HalfChecks),
    "int8": (_Int8Flags, _Int8Checks),
}
"""Of ONNX files: an engine has its ONNX file's checks, which are only shown."""


def problem(kind: str, precision: str, flags: Mapping[str, Any], profiles: object, checks: object) -> str | None:
    """What is wrong with these parts of the manifest of a `kind` ('onnx', 'engine'), beginning with the key."""
    flags_model, checks_model = _BY_PRECISION.get(precision, (_Flags, _Checks)) if kind == "onnx" else (_Flags, _Part)
    parts: tuple[tuple[str, type[_Part], object], ...] = (
        ("made_with.flags", flags_model, flags),
        ("made_for", _MadeFor, {"profiles": profiles}),
        ("came_out.checks", checks_model, checks),
    )
    for key, model, value in parts:
        try:
            model.model_validate(value)
        except ValidationError as error:
            return first_problem(error, key)
    return None
