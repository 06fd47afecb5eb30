"""A converted graph → steps: its cores as networks, decisions around cores as branches, the rest as host work."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from onnx import GraphProto, ModelProto, NodeProto, helper

from trtkit.export.frozen.batchable import CONVOLUTIONS, attribute
from trtkit.export.frozen.cores import Core, find_cores
from trtkit.export.frozen.cut import cut_core, cut_host
from trtkit.export.frozen.names import number_names
from trtkit.export.frozen.scope import Scope, open_model, reads, subgraphs
from trtkit.models.imported.plan import BranchStep, CropStep, HostStep, NetworkStep, Step


@dataclass(frozen=True)
class HostNode:
    """A node that stays on the host, and why; `why` is for people."""

    name: str
    operator: str
    why: str


@dataclass
class Pieces:
    """`steps` in order; the models that they name, all with `prefix`; what stays on the host that people should know
    of."""

    prefix: str = ""
    steps: tuple[Step, ...] = ()
    networks: dict[str, ModelProto] = field(default_factory=dict)
    hosts: dict[str, ModelProto] = field(default_factory=dict)
    on_host: list[HostNode] = field(default_factory=list)


@dataclass
class _Unit:
    """What is scheduled as one: a core, a branch, a crop, or a single node on the host."""

    kind: str
    nodes: list[NodeProto]
    core: Core | None = None

    @property
    def takes(self) -> set[str]:
        made = self.makes
        return {name for node in self.nodes for name in reads(node) if name not in made}

    @property
    def makes(self) -> set[str]:
        return {name for node in self.nodes for name in node.output if name}


def take_apart(model: ModelProto, prefix: str = "") -> Pieces:
    """Steps that compute what `model` computes, on tensors of the model's names. `model` is changed."""
    pieces = Pieces(prefix)
    number_names(model)
    scope = open_model(model)
    names: Counter[str] = Counter()
    pieces.steps = _steps(scope, [value.name for value in scope.graph.output], pieces, names)
    return pieces


def _steps(scope: Scope, wanted: Sequence[str], pieces: Pieces, names: Counter[str]) -> tuple[Step, ...]:
    _name_constant_outputs(scope, wanted)
    _name_crop_constants(scope)
    waiting = _units(scope)
    made_here = {name for unit in waiting for name in unit.makes}
    done: set[str] = set()
    order: list[list[_Unit]] = []
    while waiting:
        ready = [unit for unit in waiting if not (unit.takes & made_here) - done]
        # Host work as long as there is any, then one network or branch.
        host = _ready_hosts(waiting, made_here, done)
        chosen = host or ready[:1]
        order.append(chosen)
        for unit in chosen:
            waiting.remove(unit)
            done |= unit.makes
    steps: list[Step] = []
    for i, group in enumerate(order):
        later = {name for following in order[i + 1 :] for unit in following for name in unit.takes} | set(wanted)
        makes = [name for unit in group for node in unit.nodes for name in node.output if name in later]
        steps.append(_step(group, makes, scope, pieces, names))
    return tuple(steps)


def _name_constant_outputs(scope: Scope, wanted: Sequence[str]) -> None:
    """An output that is a constant gets a node that gives it."""
    for name in wanted:
        if name in scope.constants:
            inner = f"{name}/constant"
            tensor = scope.constants.pop(name)
            tensor.name = inner
            scope.constants[inner] = tensor
            scope.shapes[inner], scope.types[inner] = scope.shapes[name], scope.types[name]
            scope.graph.node.append(helper.make_node("Identity", [inner], [name], name=inner))


def _name_crop_constants(scope: Scope) -> None:
    """What a crop takes is a tensor of the chain: a constant among it (the size, mostly) gets a node that gives it."""
    kept: list[NodeProto] = []
    for node in scope.graph.node:
        if _is_crop(node):
            for i, name in enumerate(node.input):
                if name in scope.constants:
                    given = f"{node.output[0]}/in{i}"
                    kept.append(helper.make_node("Identity", [name], [given], name=given))
                    scope.shapes[given], scope.types[given] = scope.shapes[name], scope.types[name]
                    node.input[i] = given
        kept.append(NodeProto.FromString(node.SerializeToString()))
    del scope.graph.node[:]
    scope.graph.node.extend(kept)


def _units(scope: Scope) -> list[_Unit]:
    nodes = list(scope.graph.node)
    cores = find_cores(scope)
    inside = {i: core for core in cores for i in core.positions}
    units = [_Unit("network", [nodes[i] for i in core.positions], core) for core in cores]
    for i, node in enumerate(nodes):
        if i not in inside:
            kind = "crop" if _is_crop(node) else "branch" if _is_worth_a_branch(node, scope) else "host"
            units.append(_Unit(kind, [node]))
    return units


def _is_crop(node: NodeProto) -> bool:
    return node.domain == "trtkit" and node.op_type == "CropAndResize"


def _is_worth_a_branch(node: NodeProto, scope: Scope) -> bool:
    """True for an If with a core or a crop in it somewhere."""
    if node.op_type != "If":
        return False
    for graph in subgraphs(node):
        inner = scope.inner(_copy(graph))
        if find_cores(inner) or any(_is_crop(one) or _is_worth_a_branch(one, inner) for one in inner.graph.node):
            return True
    return False


def _copy(graph: GraphProto) -> GraphProto:
    twin: GraphProto = GraphProto.FromString(graph.SerializeToString())
    return twin


def _ready_hosts(waiting: list[_Unit], made_here: set[str], done: set[str]) -> list[_Unit]:
    chosen: list[_Unit] = []
    made = set(done)
    for unit in waiting:
        if unit.kind == "host" and not (unit.takes & made_here) - made:
            chosen.append(unit)
            made |= unit.makes
    return chosen


def _step(group: list[_Unit], makes: list[str], scope: Scope, pieces: Pieces, names: Counter[str]) -> Step:
    nodes = [node for unit in group for node in unit.nodes]
    if group[0].kind == "network":
        name = pieces.prefix + _unused(_title(nodes), names)
        pieces.networks[name], inputs = cut_core(nodes, scope, makes)
        return NetworkStep(name, tuple(inputs), tuple(makes))
    if group[0].kind == "branch":
        return _branch(nodes[0], scope, pieces, names)
    if group[0].kind == "crop":
        pieces.on_host.append(HostNode(nodes[0].name, "CropAndResize", "cuts out boxes whose place is computed"))
        method = attribute(nodes[0], "method", b"bilinear").decode()
        fill = float(attribute(nodes[0], "extrapolation_value", 0.0))
        image, boxes, owners, size = nodes[0].input
        return CropStep(nodes[0].name, (image, boxes, owners, size), (nodes[0].output[0],), method, fill)
    name = f"{pieces.prefix}host{len(pieces.hosts) + 1}"
    pieces.hosts[name], inputs = cut_host(nodes, scope, makes)
    pieces.on_host += [found for node in nodes if (found := _remark(node, scope))]
    return HostStep(name, tuple(inputs), tuple(makes))


def _branch(node: NodeProto, scope: Scope, pieces: Pieces, names: Counter[str]) -> BranchStep:
    pieces.on_host.append(HostNode(node.name, "If", f"decides by the value of {node.input[0]}"))
    steps, outputs = {}, {}
    for branch in node.attribute:
        inner = scope.inner(_copy(branch.g))
        wanted = [value.name for value in inner.graph.output]
        steps[branch.name] = _steps(inner, wanted, pieces, names)
        outputs[branch.name] = tuple(wanted)
    return BranchStep(
        name=node.name,
        condition=node.input[0],
        then_steps=steps["then_branch"],
        else_steps=steps["else_branch"],
        outputs=tuple(node.output),
        then_outputs=outputs["then_branch"],
        else_outputs=outputs["else_branch"],
    )


def _title(nodes: list[NodeProto]) -> str:
    """The scope that a core's convolutions share in the frozen graph ('coarse'), 'core' if they share none."""
    paths = [node.name.split("/")[:-1] for node in nodes if node.op_type in CONVOLUTIONS]
    shared: list[str] = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    if len(paths) == 1:
        shared = shared[:1]
    word = re.sub(r"[^A-Za-z0-9_]+", "_", shared[-1]).strip("_") if shared else ""
    return word or "core"


def _unused(title: str, names: Counter[str]) -> str:
    names[title] += 1
    return title if names[title] == 1 else f"{title}{names[title]}"


_BY_VALUE = {
    "If": "decides by a computed value",
    "Loop": "repeats a computed number of times",
    "Scan": "repeats a computed number of times",
    "NonMaxSuppression": "gives a number of rows that depends on the values",
    "NonZero": "gives a number of rows that depends on the values",
    "ArgMax": "looks for a place in the picture",
    "TopK": "looks for places in the picture",
}


def _remark(node: NodeProto, scope: Scope) -> HostNode | None:
    """What people should know about a node on the host; None for arithmetic on sizes and the like."""
    name = node.name or node.output[0]
    if node.op_type in _BY_VALUE:
        return HostNode(name, node.op_type, _BY_VALUE[node.op_type])
    if node.op_type in (*CONVOLUTIONS, "Resize", "Pad"):
        taken, given = scope.shapes.get(node.input[0]), scope.shapes.get(node.output[0])
        return HostNode(name, node.op_type, f"takes {_words(taken)} and gives {_words(given)}")
    return None


def _words(shape: tuple[int | None, ...] | None) -> str:
    return "x".join("?" if size is None else str(size) for size in shape) if shape is not None else "any shape"
