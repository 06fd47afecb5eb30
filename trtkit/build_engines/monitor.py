"""TensorRT's IProgressMonitor as a plain callback, and the way a running build is told to stop."""

from __future__ import annotations

import threading
from typing import Any

from trtkit.build_engines.builder import Progress


def progress_monitor(trt: Any, progress: Progress | None, stop: threading.Event, raised: list[BaseException]) -> Any:
    """A monitor that reports to `progress` and ends the build once `stop` is set.

    An exception of `progress` must not pass through native frames: it is put into `raised`, and the build ends.
    Phases nest and their names come from TensorRT; a phase that ends early is reported as done.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base class is only known at run time
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.total: dict[str, int] = {}
            self.done: dict[str, int] = {}

        def _report(self, phase: str, done: int) -> None:
            self.done[phase] = done
            if progress is None or raised or stop.is_set():
                return
            try:
                progress(phase, done, self.total[phase])
            except BaseException as error:
                raised.append(error)

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self.total[phase] = steps
            self._report(phase, 0)

        def step_complete(self, phase: str, step: int) -> bool:
            self._report(phase, step + 1)
            return not (stop.is_set() or raised)

        def phase_finish(self, phase: str) -> None:
            if self.done[phase] < self.total[phase]:
                self._report(phase, self.total[phase])

    return Monitor()
