"""What a model states about itself, once: its networks and their inputs and outputs.

Export, profiles, runtime, calibration, the Triton configuration and the docs all read these statements;
nothing else in the project repeats a tensor's name, dtype or layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trtkit.artifacts import folder_of
from trtkit.errors import Mistake
from trtkit.models.served import ServedOption, Useful
from trtkit.models.studied import Studied
from trtkit.models.weights import one_file

if TYPE_CHECKING:
    from trtkit.models.imported.chain import Chain
    from trtkit.models.imported.chain_file import ChainRecord
    from trtkit.models.pipeline import Pipeline
    from trtkit.runtime.backend import Backend

OptionsT = TypeVar("OptionsT")

GREY = "grey levels"

Axis = int | str
"""A fixed size, or the name of a dynamic axis: 'N' (batch), 'H', 'W'."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a network.

    `dtype` is NumPy's name for it; `value_range` is the closed range the values lie in; `channels` is the
    meaning of the last axis of an image ('RGB', 'BGR', 'alpha'), None for anything that is not an image.
    """

    name: str
    dtype: str
    shape: tuple[Axis, ...]
    value_range: tuple[float, float]
    channels: str | None = None

    @property
    def dynamic_axes(self) -> dict[int, str]:
        """Position → name of each axis whose size is only known at run time."""
        return {i: axis for i, axis in enumerate(self.shape) if isinstance(axis, str)}


@dataclass(frozen=True)
class NetworkSpec:
    """One static network of a model: what becomes one ONNX file and one engine for each GPU.

    `keep_fp32` are node-name prefixes and operator types that stay in FP32 in the FP16 form, each with the reason.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    keep_fp32: dict[str, str] = field(default_factory=dict)
    smallest: int = 1
    """The least H and W an image input may have."""
    multiple_of: int = 1
    """H and W of an image input must be multiples of this; the pipeline pads."""
    relative: bool = False
    """Its outputs are numbers and not pictures: two forms are compared by shares of each output's largest magnitude
    rather than by grey levels."""
    parity: float = 1e-4
    """Where `relative`: the share by which the ONNX may differ from the source network anywhere."""
    pixels_at_once: int | None = None
    """Pixels of one run on the CPU, those of all rows together, where the pipeline bounds its memory by them: a server
    joins no more of them into a batch."""
    not_int8: str = ""
    """Why engines.yaml states no INT8 for it, for people."""

    @property
    def unit(self) -> str:
        """What a difference between two forms is counted in, for people: '0.4 grey levels'."""
        if self.relative:
            return "of the largest value"
        return GREY if all(output.dtype == "uint8" for output in self.outputs) else "output units"

    def input(self, name: str) -> TensorSpec:
        return next(t for t in self.inputs if t.name == name)


@dataclass(frozen=True)
class Weights:
    """Where a network's parameters come from: `kind` is 'embedded', 'official' or 'file'."""

    kind: str
    path: Path
    sha256: str
    note: str = ""


@dataclass(frozen=True)
class FrozenGraph:
    """An official TensorFlow graph: its file in a snapshot, the nodes to feed and to fetch (the first input is the
    picture), and the pipeline on the chain of networks that an import makes of it
    (`open_pipeline(chain, record, options, limit_megapixels)`) with the options that a request may set on it."""

    file_name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    open_pipeline: Callable[[Chain, ChainRecord, Mapping[str, Any], float], Pipeline]
    served: tuple[ServedOption, ...] = ()


@dataclass(frozen=True)
class SideGraph:
    """An official TensorFlow graph that a pipeline uses beside the model's networks, where it could be imported: a
    chain of its own, NAME.chain.json, whose networks are called NAME_…; `without` says to people what is missing
    without it. `shape`: of the picture that the pipeline feeds, where the graph itself leaves it open."""

    name: str
    file_name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    without: str
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Around:
    """What stands around a model's networks: `kind` of the weights in use, `folder` they were read from (None: they are
    the package's, or it is not known any more), `chains` of the side graphs on loaded networks by name, none where they
    are not there, `files` that were copied from beside the weights, by name."""

    kind: str = "embedded"
    folder: Path | None = None
    chains: Mapping[str, Chain] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """A model: its networks, how to load their source modules, and its pipeline.

    `load_source(network, weights_path)` gives the torch module that takes and gives exactly the tensors the
    NetworkSpec states (for image networks: uint8 NHWC), in eval mode. torch is imported inside it.
    `embedded_dir` holds the files that ship in the package: NETWORK.safetensors, NETWORK.fp32.onnx with its
    manifest. `result_tag` is what infer puts into a result's name: STEM.TAG.png.
    `open_pipeline(networks, options, limit_megapixels)` gives the pipeline on loaded networks (name → backend);
    `options` are what the user gave on the command line or in the query, and an option that the model does not
    have is a Mistake (`take_options`). `sample_inputs(network, photographs, size)` turns RGB photographs into one
    network input batch for export checks and calibration: the model's own preprocessing.
    `find_weights(network, given)` is the file of that network in what --weights named, and `takes_weights` says to
    people what that may be. `styles` are the other sets of weights the same networks exist with; `style` is the one
    chosen, None for the model's own.
    """

    name: str
    title: str
    networks: tuple[NetworkSpec, ...]
    load_source: Callable[[str, Path], Any]
    sample_inputs: Callable[..., dict[str, Any]]
    embedded_dir: Path
    official_id: str
    result_tag: str
    open_pipeline: Callable[[Mapping[str, Backend], Mapping[str, Any], float], Pipeline]
    served: tuple[ServedOption, ...] = ()
    """The options that a request to the server may set."""
    useful: Useful | None = None
    """How far a client may shrink a picture before it sends it; None where every pixel counts."""
    find_weights: Callable[[str, Path], Path] = one_file
    takes_weights: str = "a checkpoint (.safetensors, .pth, .pt)"
    styles: tuple[str, ...] = ()
    style: str | None = None
    frozen: FrozenGraph | None = None
    """The official graph that is imported rather than read into a network of trtkit's."""

    open_around: Callable[[Mapping[str, Backend], Mapping[str, Any], float, Around], Pipeline] | None = None
    """For a pipeline that reads more than networks: `open_pipeline` with what stands around them."""
    sides: tuple[SideGraph, ...] = ()
    side_files: tuple[str, ...] = ()
    """Files of the weights' folder that the pipeline reads, where they are there: copied beside the networks."""
    needed: Callable[[Mapping[str, Any], tuple[str, ...]], tuple[str, ...]] | None = None
    """(options, names of its networks) → those that the pipeline runs under these options; None: all of them."""
    opaque_with: tuple[str, ...] = ()
    """Every result is transparent unless one of these options is given; none named: that is not known beforehand."""
    keeps_alpha: bool = False
    """A result is transparent where its picture is, whatever the options."""
    several_files: bool = False
    """A result is several files rather than one picture."""
    stages: Mapping[str, str] = field(default_factory=dict)
    """Step of the pipeline → the coarse stage it belongs to, in order, where people should see them come."""

    studied: Mapping[str, Studied] = field(default_factory=dict)
    """Network → how it is calibrated and judged, where pictures and differences of numbers alone do not do."""
    around: Around = field(default_factory=Around)
    """What stands around the weights in use."""

    def network(self, name: str) -> NetworkSpec:
        return next(n for n in self.networks if n.name == name)

    def networks_for(self, options: Mapping[str, Any]) -> tuple[NetworkSpec, ...]:
        """The networks that the pipeline runs under `options`."""
        if self.needed is None:
            return self.networks
        names = self.needed(options, tuple(network.name for network in self.networks))
        return tuple(network for network in self.networks if network.name in names)

    @property
    def folder(self) -> str:
        """Name of the folder its artifacts lie in: MODEL, or MODEL-STYLE."""
        return folder_of(self.name, self.style)

    @property
    def called(self) -> str:
        """How a command names it: 'dct_net', or 'dct_net --style anime'."""
        return f"{self.name} --style {self.style}" if self.style else self.name

    def styled(self, style: str | None) -> Model:
        """This model with the weights of `style`. Raises Mistake for a style it does not have."""
        if style is None:
            return self
        if style not in self.styles:
            known = f"its styles: {', '.join(self.styles)}" if self.styles else "it has no styles"
            raise Mistake(f"--style {style} is not one of {self.name}'s; {known}")
        return replace(self, style=style)

    def embedded_onnx(self, network: str) -> Path:
        """The ONNX inside the package, on the embedded weights. Raises Mistake for a style: those ship with none."""
        if self.style:
            raise Mistake(
                f"no weights for style '{self.style}' of {self.name}; right would be: trtkit export {self.called} "
                f"--weights DIR, where DIR is {self.takes_weights}"
            )
        return self.embedded_dir / f"{network}.fp32.onnx"


def take_options(kind: type[OptionsT], given: Mapping[str, Any], model: str) -> OptionsT:
    """The options dataclass `kind` filled from `given`. Raises Mistake naming an option the model does not have."""
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            flags = ", ".join(f"--{known_name.replace('_', '-')}" for known_name in known)
            raise Mistake(f"--{name.replace('_', '-')} is not an option of {model}; its options: {flags}")
    return kind(**given)
