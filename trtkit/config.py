"""engines.yaml as typed objects.

A wrong key, an unknown GPU or a profile with min > opt is one sentence with the path of the key
(``models.cv_unet.networks.matting.profiles.0.image``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError, model_validator

from trtkit import plain_yaml
from trtkit.errors import Mistake
from trtkit.files import why_unreadable
from trtkit.invalid import first_problem

FILE_NAME = "engines.yaml"

ServedBy = Literal["tensorrt-rtx", "tensorrt", "onnxruntime"]
Precision = Literal["fp32", "fp16", "int8"]
Method = Literal["minmax", "entropy", "percentile"]
Shape = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
Capability = Annotated[str, StringConstraints(pattern=r"^\d+\.\d$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gpu(_Strict):
    """One card: its CUDA compute capability ('8.6'), its memory and what can serve it, best first."""

    title: str
    compute_capability: Capability
    memory_gib: int = Field(ge=1)
    served_by: list[ServedBy] = Field(min_length=1)
    note: str = ""


class ShapeRange(_Strict):
    """The shapes an engine accepts for one input; `opt` is what it is tuned for."""

    min: Shape
    opt: Shape
    max: Shape

    @model_validator(mode="after")
    def _ordered(self) -> ShapeRange:
        if not len(self.min) == len(self.opt) == len(self.max):
            raise ValueError(f"min, opt and max must have one length, found {self.min}, {self.opt}, {self.max}")
        for axis, (low, best, high) in enumerate(zip(self.min, self.opt, self.max, strict=True)):
            if not low <= best <= high:
                raise ValueError(f"axis {axis} must have min <= opt <= max, found {low}, {best}, {high}")
        return self

    def admits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.min) and all(
            low <= size <= high for low, size, high in zip(self.min, shape, self.max, strict=True)
        )


Profile = dict[str, ShapeRange]


class Int8Config(_Strict):
    """How a network is quantized, and what INT8 may cost on average over pictures, against FP32.

    `method`: how much of a tensor's range is kept where --method does not say (calib/thresholds.py). `keep_fp16`:
    convolutions or modules, by the names of the graph's nodes, that stay FP16; the first and the last convolution
    always do. `sad_percent`: most that alpha may move, in percent of all alpha; `psnr`: least PSNR in dB;
    `vertices_percent`: most that a face's vertices may move, in percent of its width.
    """

    method: Method = "minmax"
    keep_fp16: list[str] = []
    sad_percent: float | None = None
    psnr: float | None = None
    vertices_percent: float | None = None


class Batching(_Strict):
    """How the server batches a network: pictures a run at most (`max_batch_cpu` where the CPU runs it), and how long
    the first of them waits for others."""

    max_batch: int = Field(default=8, ge=1)
    max_batch_cpu: int = Field(default=2, ge=1)
    max_delay_ms: float = Field(default=5.0, ge=0)

    def largest(self, backend: str) -> int:
        """Pictures a run at most on the backend of that name."""
        return min(self.max_batch, self.max_batch_cpu) if backend == "cpu" else self.max_batch


class NetworkConfig(_Strict):
    precisions: list[Precision] = Field(min_length=1)
    profiles: list[Profile] = Field(min_length=1)
    tolerance: dict[Precision, float] = {}
    keep_fp32: list[str] = []
    """Nodes, modules or operator types that the FP16 and INT8 forms leave in FP32, beside those that have to be."""
    batching: Batching = Batching()
    int8: Int8Config = Int8Config()


class ModelConfig(_Strict):
    networks: dict[str, NetworkConfig] = Field(min_length=1)


class Config(_Strict):
    schema_: Literal[1] = Field(alias="schema")
    gpus: dict[str, Gpu]
    models: dict[str, ModelConfig]
    _file: str = PrivateAttr(FILE_NAME)

    def named(self, file: str) -> Config:
        """A copy whose sentences name `file`."""
        copy = self.model_copy()
        copy._file = file
        return copy

    def gpu(self, name: str) -> Gpu:
        """The GPU called `name` ('a10'), or any card of that capability for 'sm86'. Raises Mistake."""
        if name in self.gpus:
            return self.gpus[name]
        for gpu in self.gpus.values():
            if name == "sm" + gpu.compute_capability.replace(".", ""):
                return gpu
        raise Mistake(f"--gpu {name} is not known; known GPUs: {', '.join(self.gpus)} (or a capability such as sm86)")

    def network(self, model: str, network: str) -> NetworkConfig:
        """Raises Mistake, naming file and key, if there is no such block."""
        try:
            return self.models[model].networks[network]
        except KeyError:
            raise Mistake(
                f"{self._file} has no key models.{model}.networks.{network}; add precisions and profiles for it there"
            ) from None


def load(path: Path | None = None) -> Config:
    """Read `path`, else ./engines.yaml, else the default that ships in the package."""
    chosen = path or next(candidate for candidate in _candidates() if candidate.is_file())
    try:
        text = chosen.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(f"--config {chosen} cannot be read: {why_unreadable(error)}") from error
    try:
        raw = plain_yaml.load(text)
    except plain_yaml.NotYaml as error:
        raise Mistake(f"{chosen} {error}") from error
    if not isinstance(raw, dict):
        found = "is empty" if raw is None else "holds text or a list without keys"
        raise Mistake(
            f"{chosen} {found}; it needs the keys schema, gpus and models, as trtkit's own {FILE_NAME} has them"
        )
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise Mistake(f"{chosen}: {first_problem(error)}") from error
    return config.named(str(chosen)) if path is not None else config


def _candidates() -> Iterator[Path]:
    yield Path(FILE_NAME)
    yield Path(__file__).parent / FILE_NAME  # in a checkout a link to the file at the root, in a wheel that file
