"""A CUDA graph captured from a stream, through NVIDIA's maintained bindings: pycuda has no graph API at all."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from trtkit.optional import need


class StreamGraph:
    """What `enqueue` puts on the stream, to be launched again as one piece.

    Made and destroyed in the owner thread; launched by whoever has the device's turn, its guest too.

    Run `enqueue` once before (NVIDIA/TensorRT#2603); the addresses and shapes it used are part of the graph
    (NVIDIA/TensorRT#3798). Raises RuntimeError, with the stream usable again, if something in it cannot be captured,
    or must not be repeated: a function on the host frees at its first call what later replays would free again.
    """

    def __init__(self, stream: int, enqueue: Callable[[], None]) -> None:
        self._driver = bindings()
        self._stream = self._driver.CUstream(stream)
        # Relaxed: neither another thread's allocation (PyTorch's, say) nor one of the library's own in the middle of
        # `enqueue` ends this capture. Memory that a library takes here it keeps, as it does in a plain run.
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        self._call("cuStreamBeginCapture", self._stream, mode)
        try:
            enqueue()
        except BaseException:
            status, unfinished = self._driver.cuStreamEndCapture(self._stream)
            if int(status) == 0:  # else the capture had ended by itself, and there is none
                self._driver.cuGraphDestroy(unfinished)
            raise
        graph = self._call("cuStreamEndCapture", self._stream)
        try:
            self._refuse_host_functions(graph)
            self._executable = self._call("cuGraphInstantiate", graph, 0)
        finally:
            self._call("cuGraphDestroy", graph)

    def launch(self) -> None:
        self._call("cuGraphLaunch", self._executable, self._stream)

    def destroy(self) -> None:
        self._call("cuGraphExecDestroy", self._executable)

    def _refuse_host_functions(self, graph: Any) -> None:
        driver = self._driver
        count = driver.cuGraphGetNodes(graph)[2]
        nodes = driver.cuGraphGetNodes(graph, count)[1] if count else []
        if any(driver.cuGraphNodeGetType(node)[1] == driver.CUgraphNodeType.CU_GRAPH_NODE_TYPE_HOST for node in nodes):
            raise RuntimeError("it calls a function on the host")

    def _call(self, name: str, *arguments: Any) -> Any:
        status, *results = getattr(self._driver, name)(*arguments)
        if int(status) != 0:
            raise RuntimeError(f"{name} gave {status.name}")
        return results[0] if results else None


def bindings() -> ModuleType:
    """Raises MissingComponent."""
    return need("cuda.bindings.driver", "a CUDA graph")
