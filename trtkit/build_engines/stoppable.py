"""A long native call in a worker thread, so that Ctrl-C is heard while it runs.

Python handles a signal only between bytecodes of the main thread; a builder that holds that thread for
minutes would make Ctrl-C wait as long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def run_stoppable(work: Callable[[threading.Event], T]) -> T:
    """Run `work(stop)` in a thread and give its result, or raise what it raised.

    On KeyboardInterrupt `stop` is set and the work's end is awaited, then KeyboardInterrupt goes on. A second
    Ctrl-C does not wait: the thread is a daemon, and whoever called has not written anything yet.
    """
    stop = threading.Event()
    outcome: Future[T] = Future()

    def target() -> None:
        try:
            outcome.set_result(work(stop))
        except BaseException as error:
            outcome.set_exception(error)

    worker = threading.Thread(target=target, name="trtkit-build", daemon=True)
    worker.start()
    try:
        return outcome.result()
    except KeyboardInterrupt:
        stop.set()
        worker.join()
        raise
