"""A captured graph is trusted once its first replay gave what the eager run gave, byte for byte.

A graph captured while another device was current is empty, raises nothing, and leaves the last output standing
(ultralytics/ultralytics#26223). So the outputs are painted over before the replay.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trtkit.runtime.cuda_api import Cuda, Event, Stream
from trtkit.runtime.slots import Slot

_PAINT = 0xA5


def same_as_eager(
    cuda: Cuda,
    stream: Stream,
    slot: Slot,
    outputs: dict[str, int],
    eager: Callable[[], None],
    replay: Callable[[], None],
    inputs: dict[str, int] | None = None,
) -> bool:
    """Run the slot's inputs both ways on `stream` and compare every output. `outputs`: bytes of each that are in use.

    `inputs`: bytes of each, if the replay takes them from the host by itself and leaves its outputs there.
    """
    done = cuda.event()
    try:
        for name, size in (inputs or {}).items():  # a run on what the device holds may not have come from the host
            cuda.copy_in(slot.device[name], slot.host[name][:size], stream)
        _paint(cuda, stream, slot, outputs, done)
        eager()
        expected = _outputs(cuda, stream, slot, outputs, done)
        if inputs is None:
            _paint(cuda, stream, slot, outputs, done)
            replay()
            found = _outputs(cuda, stream, slot, outputs, done)
        else:
            kept = {name: slot.host[name][:size].copy() for name, size in inputs.items()}
            try:
                _paint(cuda, stream, slot, {**outputs, **inputs}, done)
                for name, content in kept.items():
                    slot.host[name][: content.size] = content
                replay()
                _wait(cuda, stream, done)
                found = {name: slot.host[name][:size] for name, size in outputs.items()}
            finally:  # for the run that comes next, whatever the replay did, if it was launched at all
                for name, content in kept.items():
                    slot.host[name][: content.size] = content
                    cuda.copy_in(slot.device[name], slot.host[name][: content.size], stream)
    finally:
        cuda.drop(done)
    return all(np.array_equal(expected[name], found[name]) for name in outputs)


def _paint(cuda: Cuda, stream: Stream, slot: Slot, sizes: dict[str, int], done: Event) -> None:
    for name, size in sizes.items():
        slot.host[name][:size] = _PAINT
        cuda.copy_in(slot.device[name], slot.host[name][:size], stream)
    _wait(cuda, stream, done)


def _outputs(cuda: Cuda, stream: Stream, slot: Slot, sizes: dict[str, int], done: Event) -> dict[str, np.ndarray]:
    for name, size in sizes.items():
        cuda.copy_out(slot.host[name][:size], slot.device[name], stream)
    _wait(cuda, stream, done)
    return {name: slot.host[name][:size].copy() for name, size in sizes.items()}


def _wait(cuda: Cuda, stream: Stream, done: Event) -> None:
    cuda.record(done, stream)
    cuda.synchronize(done)
