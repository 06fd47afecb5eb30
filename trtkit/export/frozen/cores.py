"""The static convolutional cores of a scope: what can be a network of its own, with a batch axis.

A core is a connected set of batchable nodes that holds a convolution, and that no path leaves and comes back to. Two
nets with a resize between them are two cores: a resize that alone connects them is left out, if what follows it
also takes something else from outside (the picture at its own size, beside a mask).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from onnx import NodeProto

from trtkit.export.frozen.batchable import CONVOLUTIONS, is_batchable
from trtkit.export.frozen.scope import Scope, reads


@dataclass
class Core:
    """Positions of its nodes in the scope's graph, in order."""

    positions: list[int] = field(default_factory=list)


class _Wiring:
    """Who feeds whom among the nodes of a scope."""

    def __init__(self, scope: Scope) -> None:
        self.nodes: list[NodeProto] = list(scope.graph.node)
        makers = {name: i for i, node in enumerate(self.nodes) for name in node.output if name}
        self.before: list[list[int]] = [
            sorted({makers[name] for name in reads(node) if name in makers}) for node in self.nodes
        ]
        self.after: list[list[int]] = [[] for _ in self.nodes]
        for i, makers_of in enumerate(self.before):
            for j in makers_of:
                self.after[j].append(i)
        self.ends = {makers[value.name] for value in scope.graph.output if value.name in makers}


def find_cores(scope: Scope) -> list[Core]:
    """The cores of `scope`'s own nodes (branches inside it have scopes of their own), in order."""
    wiring = _Wiring(scope)
    able = {i for i, node in enumerate(wiring.nodes) if is_batchable(node, scope)}
    able -= _separating_resizes(wiring, able, scope)
    groups = _convex_groups(wiring, able)
    cores = [group for group in groups if any(wiring.nodes[i].op_type in CONVOLUTIONS for i in group)]
    _absorb(wiring, able, cores)
    return [Core(sorted(group)) for group in cores]


def _separating_resizes(wiring: _Wiring, able: set[int], scope: Scope) -> set[int]:
    found: set[int] = set()
    for i in sorted(able):
        if wiring.nodes[i].op_type != "Resize":
            continue
        rest = able - found - {i}
        sources = _connected(wiring, rest, [j for j in wiring.before[i] if j in rest])
        followers = _connected(wiring, rest, [j for j in wiring.after[i] if j in rest])
        if (
            not sources & followers
            and all(any(wiring.nodes[j].op_type in CONVOLUTIONS for j in side) for side in (sources, followers))
            and _takes_something_else(wiring, followers, i, scope)
        ):
            found.add(i)
    return found


def _connected(wiring: _Wiring, members: set[int], start: list[int]) -> set[int]:
    """Everything in `members` that `start` is connected with, in either direction."""
    seen, waiting = set(start), list(start)
    while waiting:
        i = waiting.pop()
        for j in (*wiring.before[i], *wiring.after[i]):
            if j in members and j not in seen:
                seen.add(j)
                waiting.append(j)
    return seen


def _takes_something_else(wiring: _Wiring, group: set[int], resize: int, scope: Scope) -> bool:
    inside = {name for j in (*group, resize) for name in wiring.nodes[j].output}
    return any(
        name not in inside and name not in scope.constants for j in group for name in wiring.nodes[j].input if name
    )


def _convex_groups(wiring: _Wiring, able: set[int]) -> list[set[int]]:
    """Connected sets of `able` nodes of one level; the level rises whenever a path leaves `able` or enters it."""
    level: list[int] = []
    for i in range(len(wiring.nodes)):
        level.append(max((level[j] + ((i in able) != (j in able)) for j in wiring.before[i]), default=0))
    groups: list[set[int]] = []
    left = set(able)
    while left:
        first = min(left)
        same = {i for i in left if level[i] == level[first]}
        group = _connected(wiring, same, [first])
        groups.append(group)
        left -= group
    return sorted(groups, key=min)


def _absorb(wiring: _Wiring, able: set[int], cores: list[set[int]]) -> None:
    """A node whose results only one core takes belongs to that core: normalisation of what goes in, mostly."""
    home = {i: core for core in cores for i in core}
    for i in sorted(able - set(home), reverse=True):
        takers = wiring.after[i]
        if takers and i not in wiring.ends and all(home.get(j) is home.get(takers[0], ()) for j in takers):
            home[takers[0]].add(i)
            home[i] = home[takers[0]]
