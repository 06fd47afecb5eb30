"""What trtkit's source asks of TensorRT's Python bindings, read from its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

OBJECTS = {
    "builder": "Builder",
    "config": "IBuilderConfig",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "error": "ParserError",
    "profile": "IOptimizationProfile",
    "layer": "ILayer",
    "tensor": "ITensor",
    "cache": "ITimingCache",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "inspector": "EngineInspector",
    "context": "IExecutionContext",
    "runtime_config": "IRuntimeConfig",
    "runtime_cache": "IRuntimeCache",
}
"""What a name holds in the files of TALKERS."""

RESULTS = {"get_input": "ITensor", "get_output": "ITensor", "get_layer": "ILayer"}
"""What a method gives, where the source goes on from its result."""

TALKERS = (
    "build_engines/trt_build.py",
    "build_engines/profiles.py",
    "build_engines/precision_share.py",
    "build_engines/timing_cache.py",
    "build_engines/tensorrt.py",
    "runtime/trt_engine.py",
    "runtime/tensorrt.py",
)
"""The files that hold TensorRT's objects."""

LEAN = ("build_engines/log_lines.py", "runtime/trt_engine.py", "runtime/tensorrt.py")
"""The files that may hold the lean runtime in TensorRT's place."""

RTX_ALONE = ("runtime/tensorrt_rtx.py",)
"""The files that hold TensorRT-RTX's objects and no other module's: what they name may be absent elsewhere."""


@dataclass
class Usage:
    """Attribute chains of `trt`, and (class, member) → the argument counts it is called with (None: not called).

    The guarded ones stand under an `if hasattr(...)` and may be absent in some modules.
    """

    chains: set[str] = field(default_factory=set)
    guarded_chains: set[str] = field(default_factory=set)
    members: dict[str, set[int | None]] = field(default_factory=dict)
    guarded_members: dict[str, set[int | None]] = field(default_factory=dict)


def chain_of(node: ast.expr) -> str | None:
    """'X.Y' for `trt.X.Y`, None for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return ".".join(names) if isinstance(node, ast.Name) and node.id == "trt" and names else None


class _Reader(ast.NodeVisitor):
    def __init__(self, usage: Usage, talks: bool, rtx_alone: bool) -> None:
        self.usage = usage
        self.talks = talks or rtx_alone
        self.rtx_alone = rtx_alone
        self.guards: list[str] = []

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._under(guards_in(node.test), node.body)
        self._under([], node.orelse)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._under(guards_in(node.test), [node.body])
        self._under([], [node.orelse])

    def _under(self, guards: list[str], nodes: list[ast.stmt] | list[ast.expr]) -> None:
        self.guards += guards
        for node in nodes:
            self.visit(node)
        del self.guards[len(self.guards) - len(guards) :]

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A class over one of TensorRT's: its public methods are what TensorRT calls."""
        for base in node.bases:
            chain = chain_of(base)
            for method in node.body:
                if chain and isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    arguments = len(method.args.args) - 1
                    self.usage.members.setdefault(f"{chain}.{method.name}", set()).add(arguments)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        chain = chain_of(node)
        if chain is None:
            self._member(node, None)
            self.visit(node.value)
        elif self.rtx_alone or any(chain == guard or chain.startswith(guard + ".") for guard in self.guards):
            self.usage.guarded_chains.add(chain)
        else:
            self.usage.chains.add(chain)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and chain_of(node.func) is None:
            self._member(node.func, len(node.args) + len(node.keywords))
            self.visit(node.func.value)
        else:
            self.visit(node.func)
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            self.visit(argument)

    def _member(self, node: ast.Attribute, arguments: int | None) -> None:
        owner = class_of(node.value)
        if self.talks and owner is not None:
            kept = self.usage.guarded_members if self.guards or self.rtx_alone else self.usage.members
            kept.setdefault(f"{owner}.{node.attr}", set()).add(arguments)


def class_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return OBJECTS.get(node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and class_of(node.func.value):
        return RESULTS.get(node.func.attr)
    return None


def guards_in(test: ast.expr) -> list[str]:
    """'X.Y' for each `hasattr(trt.X, "Y")` in a condition."""
    return [guard for node in ast.walk(test) if (guard := _guard(node)) is not None]


def _guard(node: ast.AST) -> str | None:
    match node:
        case ast.Call(func=ast.Name(id="hasattr"), args=[ast.Name(id="trt"), ast.Constant(value=str(name))]):
            return name
        case ast.Call(func=ast.Name(id="hasattr"), args=[ast.Attribute() as owner, ast.Constant(value=str(name))]):
            chain = chain_of(owner)
            return f"{chain}.{name}" if chain else None
    return None


def sources(package: Path) -> Iterator[Path]:
    return package.rglob("*.py")


def read_usage(package: Path, only: tuple[str, ...] = ()) -> Usage:
    """Read every file under the trtkit package at `package`, or `only` those."""
    usage = Usage()
    for path in sources(package):
        name = path.relative_to(package).as_posix()
        if only and name not in only:
            continue
        _Reader(usage, name in TALKERS, name in RTX_ALONE).visit(ast.parse(path.read_text(encoding="utf-8")))
    return usage
