"""A network as one session of ONNX Runtime: whatever its graph holds, it runs in its operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from onnx import ModelProto

from trtkit.runtime.backend import IOTensors
from trtkit.runtime.gpu import Place
from trtkit.runtime.ort_form import UNDONE_BY, form_for
from trtkit.runtime.ort_session import Sessions, fixed_kernels
from trtkit.runtime.shapes import Shapes


class OrtProgram:
    """`file` is a path or the serialized `model`. `quick`: in the form of ort_form.py, where that is another one.

    Raises CheckFailed, MissingComponent, OutOfMemory as Sessions does.
    """

    arena = 0
    """ONNX Runtime takes its own."""

    def __init__(
        self,
        file: Path | bytes,
        model: ModelProto,
        tensors: IOTensors,
        place: Place,
        sessions: Sessions,
        *,
        channels_last: bool = True,
        quick: bool = True,
    ) -> None:
        self._place, self._sessions = place, sessions
        self._tensors = tensors
        form = form_for(model) if quick else None
        self._session = sessions.open(
            form.SerializeToString() if form else file,
            channels_last=channels_last and fixed_kernels(model),
            without=UNDONE_BY if form else (),
        )
        self._inputs = {node.name for node in self._session.get_inputs()}

    def reserve(self) -> None:
        """There is nothing to take."""

    def bind(self, addresses: Mapping[str, int], shapes: Shapes) -> list[Callable[[], None]]:
        """What queues a run on the inputs and outputs at `addresses`, with these shapes of both."""
        binding = self._session.io_binding()
        for name, shape in shapes.items():
            kind, address = self._tensors[name][0].type, addresses[name]
            bind = binding.bind_input if name in self._inputs else binding.bind_output
            bind(name, "cuda", self._place.ordinal, kind, list(shape), address)
        return [lambda: self._sessions.run(self._session, binding)]

    def free(self) -> None:
        self._session = None
