"""A frozen graph → chain.json with its networks and host parts: converted, taken apart, checked, then published.

The check is the graph itself, run by TensorFlow on photographs. What fails it leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto

from trtkit import __version__, artifacts, manifest
from trtkit.errors import CheckFailed, Mistake
from trtkit.export.frozen.batchable import CONVOLUTIONS
from trtkit.export.frozen.partition import Pieces, take_apart
from trtkit.export.frozen.tensorflow_python import TensorFlow, interpreter
from trtkit.export.photographs import photographs
from trtkit.files import sha256, writing
from trtkit.manifest import CameOut, MadeOf, MadeWith, Manifest, WeightsRecord
from trtkit.models.imported import chain_file
from trtkit.models.imported.chain import Chain
from trtkit.models.imported.chain_file import ChainRecord, HostRecord, NetworkRecord, TensorRecord
from trtkit.models.imported.host import HostWork
from trtkit.models.imported.model import feed_for
from trtkit.models.spec import Weights
from trtkit.runtime.backend import Arrays
from trtkit.runtime.cpu import CpuBackend

FORM_VERSION = 2
"""Part of every key: raised when the same graph would be taken apart in another way."""

TOLERANCE = 1.0
"""Grey levels of a uint8 output by which the chain may differ from TensorFlow anywhere; float outputs are allowed
that share of their own range."""

SIZES = ((240, 320), (301, 217))
"""Sizes (height, width) that photographs are brought to for the check, where the graph takes any: an odd one, too."""


@dataclass(frozen=True)
class Imported:
    """The folder, what its chain.json (or SIDE.chain.json) says, and whether it was made now or found up to date."""

    folder: Path
    record: ChainRecord
    made: bool
    seconds: float
    side: str = ""

    @property
    def chain(self) -> Path:
        return chain_file.path_in(self.folder, chain_file.name_of(self.side))


def import_graph(
    folder: Path,
    model: str,
    style: str | None,
    graph: Weights,
    inputs: Sequence[str],
    outputs: Sequence[str],
    tf_python: Path | None = None,
    images: Path | None = None,
    force: bool = False,
    side: str = "",
    shape: Sequence[int] | None = None,
) -> Imported:
    """Import `graph` into `folder`, unless what lies there was made of it.

    `inputs` are node names of the graph, or NAME=VALUE for one that is fixed; the first is the picture. `side` is the
    name of a graph beside the model's own networks: its chain is SIDE.chain.json and its pieces SIDE_…. `shape` is the
    picture's where every one that is fed has the same, though the graph leaves it open. Raises Mistake for a file that
    is no frozen graph and for wrong names, MissingComponent without TensorFlow, CheckFailed past TOLERANCE.
    """
    began = time.perf_counter()
    if not graph.path.is_file():
        raise Mistake(f"{graph.path} does not exist; name a frozen graph (.pb)")
    key = _key(graph=graph.sha256, inputs=list(inputs), outputs=list(outputs), model=model, trtkit=__version__)
    chain_name, prefix = chain_file.name_of(side), f"{side}_" if side else ""
    if not force and (existing := _up_to_date(folder, key, chain_name)):
        return Imported(folder, existing, False, time.perf_counter() - began, side)
    python = interpreter(tf_python)
    with TensorFlow(python) as tensorflow:
        content, versions = tensorflow.convert(graph.path, inputs, outputs)
        converted = onnx.load_from_string(content)
        taken = [_tensor_record(value) for value in converted.graph.input]
        if shape is not None:
            taken[0] = taken[0].model_copy(update={"shape": list(shape)})
        given = [value.name for value in converted.graph.output]
        pieces = take_apart(converted, prefix)
        models = {name: _finished(piece, model, name, graph.sha256) for name, piece in pieces.networks.items()}
        hosts = {name: _finished(piece, model, name, graph.sha256) for name, piece in pieces.hosts.items()}
        record = ChainRecord(
            model=model,
            weights=WeightsRecord(kind=graph.kind, sha256=graph.sha256, note=graph.note),
            graph=graph.path.name,
            made_with={"trtkit": __version__, **versions},
            inputs=taken,
            fixed_inputs=[name for name in inputs if "=" in name],
            outputs=given,
            steps=_plain_steps(pieces),
            networks={},
            hosts={name: hashlib.sha256(bytes_).hexdigest() for name, bytes_ in hosts.items()},
            on_host=[HostRecord(name=n.name, operator=n.operator, why=n.why) for n in pieces.on_host],
            checks={},
            build_key=key,
        )
        backends = {name: CpuBackend(bytes_) for name, bytes_ in models.items()}
        chain = Chain(record.plan, record.outputs, backends, {name: HostWork(bytes_) for name, bytes_ in hosts.items()})
        feeds = _feeds(record, photographs(images))
        checks = _check(chain, feeds, graph.path, record, tensorflow)
    ranges = _output_ranges(chain, list(feeds.values()))
    networks = {
        name: _network_record(pieces.networks[name], models[name], ranges.get(name, {})) for name in pieces.networks
    }
    record = record.model_copy(update={"networks": networks, "checks": {"against_tensorflow": checks}})
    _publish(folder, style, record, models, hosts, chain_name)
    return Imported(folder, record, True, time.perf_counter() - began, side)


def _up_to_date(folder: Path, key: str, chain_name: str) -> ChainRecord | None:
    try:
        record = chain_file.read(folder, chain_name)
    except CheckFailed:
        return None
    if record is None or record.build_key != key:
        return None
    sums = {**record.hosts, **{name: network.sha256 for name, network in record.networks.items()}}
    for name, wanted in sums.items():
        path = artifacts.onnx_path(folder.parent, folder.name, name, "fp32")
        if not path.is_file() or sha256(path) != wanted or not manifest.path_of(path).is_file():
            return None
    return record


def _key(**parts: Any) -> str:
    return hashlib.sha256(json.dumps({"form": FORM_VERSION, **parts}, sort_keys=True).encode()).hexdigest()


def _plain_steps(pieces: Pieces) -> list[dict[str, Any]]:
    from trtkit.models.imported.plan import to_json

    plain: list[dict[str, Any]] = json.loads(json.dumps(to_json(pieces.steps)))
    return plain


def _finished(model: ModelProto, name: str, piece: str, weights_sha256: str) -> bytes:
    """The piece's bytes, with its metadata. Raises CheckFailed if it is not valid ONNX."""
    onnx.helper.set_model_props(model, {"model": name, "network": piece, "weights_sha256": weights_sha256})
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        # checker and shape inference raise different types, all of them meaning 'not valid ONNX'.
        raise CheckFailed(f"'{piece}' of {name} is not valid ONNX: {' '.join(str(error).split())[:300]}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _tensor_record(value: onnx.ValueInfoProto) -> TensorRecord:
    kind = value.type.tensor_type
    dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    shape = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    return TensorRecord(name=value.name, dtype=dtype, shape=list(shape), value_range=(0.0, 255.0))


def _feeds(record: ChainRecord, pictures: list[np.ndarray]) -> dict[str, Arrays]:
    """Label → the graph's inputs: every photograph at every size, a dark one among them; one size where it is fixed."""
    from trtkit.models.imaging.letterbox import resize

    if len(record.inputs) != 1:
        names = ", ".join(tensor.name for tensor in record.inputs)
        raise Mistake(f"the graph takes several inputs ({names}); fix all but the picture with --input NAME=VALUE")
    fixed = all(isinstance(size, int) for size in (record.inputs[0].shape or [])[-3:])
    feeds = {}
    for i, picture in enumerate([*pictures, pictures[0] // 16], 1):
        for size in SIZES[:1] if fixed else SIZES:
            feed = feed_for(record, resize(picture, size))
            feeds[f"{i}: {'x'.join(map(str, feed[record.inputs[0].name].shape))}"] = feed
    return feeds


def _check(
    chain: Chain, feeds: dict[str, Arrays], graph: Path, record: ChainRecord, tensorflow: TensorFlow
) -> dict[str, dict[str, float]]:
    """Largest and mean difference of any output from TensorFlow's, for each feed; raises CheckFailed past TOLERANCE."""
    plain = [{name.removesuffix(":0"): array for name, array in feed.items()} for feed in feeds.values()]
    names = [name.removesuffix(":0") for name in record.outputs]
    wanted = tensorflow.run(graph, plain, names, record.fixed_inputs)
    figures = {}
    for (label, feed), reference in zip(feeds.items(), wanted, strict=True):
        found = chain.run([feed])[0]
        gaps = []
        for name in record.outputs:
            ours, theirs = found[name], reference[name.removesuffix(":0")]
            if ours.shape != theirs.shape:
                raise CheckFailed(
                    f"output '{name}' of {graph} has shape {list(ours.shape)}, TensorFlow gives {list(theirs.shape)} "
                    f"(at {label}); nothing was kept"
                )
            gaps.append(_gap(ours, theirs))
        figures[label] = {"max": max(gap[0] for gap in gaps), "mean": round(max(gap[1] for gap in gaps), 6)}
        if figures[label]["max"] > TOLERANCE:
            raise CheckFailed(
                f"the networks cut out of {graph} differ from TensorFlow's run of it by "
                f"{figures[label]['max']:.3g} grey levels (at {label}), more than {TOLERANCE:g}; nothing was kept"
            )
    return figures


def _gap(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Largest and mean difference in grey levels: of the values for uint8, of 255ths of their range for the rest."""
    if ours.size == 0:
        return 0.0, 0.0
    wanted = theirs.astype(np.float64)
    scale = 1.0 if theirs.dtype == np.uint8 else 255.0 / max(float(np.ptp(wanted)), 1e-6)
    gap = np.abs(wanted - ours.astype(np.float64)) * scale
    return float(gap.max()), float(gap.mean())


def _output_ranges(chain: Chain, feeds: list[Arrays]) -> dict[str, dict[str, tuple[float, float]]]:
    """Network → tensor → (least, greatest) value that was seen on it."""
    seen: dict[str, dict[str, tuple[float, float]]] = {}

    def look(name: str, inputs: Arrays, outputs: Arrays) -> None:
        ranges = seen.setdefault(name, {})
        for tensor, array in {**inputs, **outputs}.items():
            if array.size:
                low, high = ranges.get(tensor, (np.inf, -np.inf))
                ranges[tensor] = (min(low, float(array.min())), max(high, float(array.max())))

    for feed in feeds:
        chain.watch(feed, look)
    return seen


def _network_record(model: ModelProto, content: bytes, ranges: dict[str, tuple[float, float]]) -> NetworkRecord:
    def tensors(values: Any) -> list[TensorRecord]:
        return [
            TensorRecord(
                name=value.name,
                dtype="float32",
                shape=[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
                value_range=ranges.get(value.name, (0.0, 0.0)),
            )
            for value in values
        ]

    outputs = tensors(model.graph.output)
    span = max(high - low for low, high in (tensor.value_range for tensor in outputs))
    return NetworkRecord(
        inputs=tensors(model.graph.input),
        outputs=outputs,
        keep_fp32=_edges(model),
        # Without a picture that leads there the range is not known, and an FP16 form could not be judged either.
        tolerance=max(span, 1e-6) / 255,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _edges(model: ModelProto) -> dict[str, str]:
    """Nodes before the first and behind the last compute layer stay in FP32, as every image network's edges do."""
    nodes = list(model.graph.node)
    why = "0..255 and its normalisation lose up to a quarter of a grey level in half precision"
    return dict.fromkeys((*_without_compute(nodes, True), *_without_compute(nodes[::-1], False)), why)


def _without_compute(nodes: list[NodeProto], forward: bool) -> list[str]:
    """Names of the nodes that no compute layer lies before (`forward`), or behind."""
    touched: set[str] = set()
    names = []
    for node in nodes:
        near, far = (node.input, node.output) if forward else (node.output, node.input)
        if node.op_type in (*CONVOLUTIONS, "MatMul", "Gemm") or any(name in touched for name in near):
            touched.update(far)
        elif node.name:
            names.append(node.name)
    return names


def _publish(
    folder: Path,
    style: str | None,
    record: ChainRecord,
    models: dict[str, bytes],
    hosts: dict[str, bytes],
    chain_name: str,
) -> None:
    """Every file whole; the chain's, without which none of them counts, first taken away and written last."""
    with writing(chain_file.path_in(folder, chain_name)):
        chain_file.path_in(folder, chain_name).unlink(missing_ok=True)
    versions = ", ".join(f"{name} {version}" for name, version in record.made_with.items() if name != "trtkit")
    for name, content in {**models, **hosts}.items():
        made = Manifest(
            kind="onnx",
            model=record.model,
            network=name,
            style=style,
            precision="fp32",
            made_of=MadeOf(weights=record.weights),
            made_with=MadeWith(
                trtkit=__version__,
                tool="tf2onnx",
                version=versions,
                flags={"form": FORM_VERSION, "graph": record.graph},
            ),
            came_out=CameOut(sha256=hashlib.sha256(content).hexdigest(), size=len(content), checks=record.checks),
            build_key=record.build_key,
        )
        manifest.publish(artifacts.onnx_path(folder.parent, folder.name, name, "fp32"), content, made)
    chain_file.write(folder, record, chain_name)
