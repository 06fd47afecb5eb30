"""An imported graph, run: host work a picture at a time, networks on all pictures at once, decisions for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from trtkit.errors import CheckFailed, TrtkitError
from trtkit.models.imported.crop import crop_and_resize
from trtkit.models.imported.host import HostWork
from trtkit.models.imported.plan import BranchStep, CropStep, HostStep, NetworkStep, Step
from trtkit.runtime.backend import MOST_WITHOUT_PROFILES, Arrays, Backend

Tensors = dict[str, np.ndarray]
Watch = Callable[[str, Arrays, Arrays], None]
"""Called with a network's name, its inputs in1… and its outputs out1…, for each run."""


class Chain:
    """`networks` and `hosts` are the steps' pieces, by name; `outputs` what the graph gives; `dtypes` what its inputs
    are, where it is known. Safe from any thread."""

    def __init__(
        self,
        steps: Sequence[Step],
        outputs: Sequence[str],
        networks: Mapping[str, Backend],
        hosts: Mapping[str, HostWork],
        dtypes: Mapping[str, str] | None = None,
    ) -> None:
        self._steps, self._outputs = steps, outputs
        self._networks, self._hosts = networks, hosts
        self._dtypes = dtypes or {}

    def run(self, feeds: Sequence[Arrays]) -> list[Arrays]:
        """The graph's outputs for each of `feeds` (graph input → array, of any type that its own holds); networks take
        all of them in one run."""
        states = [{name: np.asarray(array, self._dtypes.get(name)) for name, array in feed.items()} for feed in feeds]
        self._run(self._steps, states, None)
        return [{name: state[name] for name in self._outputs} for state in states]

    def watch(self, feed: Arrays, watch: Watch) -> None:
        """Run once and show what goes in and out of every network, of those behind a decision that falls the other
        way too, as far as their inputs can be computed."""
        self._run(self._steps, [dict(feed)], watch)

    def _run(self, steps: Sequence[Step], states: list[Tensors], watch: Watch | None) -> None:
        for step in steps:
            if isinstance(step, HostStep):
                for state in states:
                    state |= self._hosts[step.name].run(state)
            elif isinstance(step, NetworkStep):
                self._run_network(step, states, watch)
            elif isinstance(step, CropStep):
                for state in states:
                    image, boxes, owners, size = (state[name] for name in step.inputs)
                    wanted = (int(size[0]), int(size[1]))
                    state[step.outputs[0]] = crop_and_resize(image, boxes, owners, wanted, step.method, step.fill)
            else:
                self._decide(step, states, watch)

    def _run_network(self, step: NetworkStep, states: list[Tensors], watch: Watch | None) -> None:
        backend = self._networks[step.name]
        counts = [len(state[step.inputs[0]]) for state in states]
        for state, count in zip(states, counts, strict=True):
            if any(len(state[name]) != count for name in step.inputs):
                # Rows would be joined with those of another picture, or be left out.
                raise CheckFailed(
                    f"network {step.name} of the imported graph reads tensors of different numbers of rows on this "
                    "picture, which its batch axis does not allow"
                )
        arrays = {
            f"in{i}": np.ascontiguousarray(np.concatenate([state[name] for state in states]))
            for i, name in enumerate(step.inputs, 1)
        }
        given = _in_parts(backend, arrays, sum(counts))
        if watch is not None:
            watch(step.name, arrays, given)
        start = 0
        for state, count in zip(states, counts, strict=True):
            for i, name in enumerate(step.outputs, 1):
                state[name] = given[f"out{i}"][start : start + count]
            start += count

    def _decide(self, step: BranchStep, states: list[Tensors], watch: Watch | None) -> None:
        for taken, steps, names in (
            (True, step.then_steps, step.then_outputs),
            (False, step.else_steps, step.else_outputs),
        ):
            chosen = [state for state in states if bool(state[step.condition].all()) is taken]
            inner = [dict(state) for state in chosen]
            if inner:
                self._run(steps, inner, watch)
            elif watch is not None:
                # A branch that this picture does not take, on its values all the same: they may not make sense there.
                with suppress(TrtkitError):
                    self._run(steps, [dict(states[0])], watch)
            for state, found in zip(chosen, inner, strict=True):
                state |= {outer: found[name] for outer, name in zip(step.outputs, names, strict=True)}


def _in_parts(backend: Backend, arrays: Arrays, rows: int) -> Arrays:
    """One run, or as many as the profiles' largest batch asks for; no rows need none."""
    if rows == 0:
        return {
            name: np.zeros((0, *(size or 0 for size in shape[1:])), dtype)
            for name, (dtype, shape) in backend.outputs.items()
        }
    largest = max((profile["in1"].max[0] for profile in backend.profiles), default=MOST_WITHOUT_PROFILES)
    if rows <= largest:
        return backend.run(arrays)
    parts = [
        backend.run({name: array[start : start + largest] for name, array in arrays.items()})
        for start in range(0, rows, largest)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
