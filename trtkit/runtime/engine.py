"""What a GPU backend adds to the shared layer: how one network is put on the compute stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trtkit.config import Profile
from trtkit.runtime.backend import IOTensors
from trtkit.runtime.shapes import Shapes
from trtkit.runtime.slots import Slot


class Engine(Protocol):
    """A network on one device. Every method but `output_shapes` is called by whoever has the device's turn: the owner
    thread, and for `enqueue` and `round_trip` of what `anywhere` allows, any other."""

    what: str
    """The file, for error texts."""
    library: str
    """'ONNX Runtime 1.31.1', for people."""
    inputs: IOTensors
    outputs: IOTensors
    profiles: Sequence[Profile]
    workspace: int
    """Device bytes for activations that the engine takes from us, shared by all slots; 0 if it takes its own."""
    notes: list[str]
    """What a person should know: graphs switched off and why, a cold or warm runtime cache."""

    def output_shapes(self, shapes: Shapes) -> Shapes:
        """For input shapes that one of `profiles` admits."""
        ...

    def attach(self, slot: Slot) -> None:
        """Make what this slot alone needs (an execution context, say). Raises OutOfMemory."""
        ...

    def anywhere(self, slot: Slot, shapes: Shapes) -> bool:
        """`enqueue` of these only launches what is ready, which any thread with the context current may do."""
        ...

    def enqueue(self, slot: Slot, shapes: Shapes) -> None:
        """Queue one run of the slot's device buffers on the compute stream. Raises if the library refuses."""
        ...

    def round_trip(self, slot: Slot, shapes: Shapes) -> bool:
        """Where that is ready as one piece: queue copy in, run and copy out. False if nothing was queued."""
        ...

    def detach(self, slot: Slot) -> None:
        """Drop what `attach` made."""
        ...

    def close(self) -> None: ...

    def abandon(self) -> None:
        """Keep every native object alive for ever: its context is dead or the parent process's."""
        ...
