"""Starting a front process."""

from __future__ import annotations

import signal
import subprocess
import sys

from trtkit.serve.fronts.channel import Channel

_PATIENCE = 2.0
"""Seconds that a network may be held up by a front that does not read its answers; it is ended then."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def spawn() -> tuple[subprocess.Popen[bytes], Channel]:
    """A fresh interpreter (never a fork: CUDA does not survive one) that imports what it needs and waits for its
    Start; and the way to it."""
    channel, theirs = Channel.pair(_PATIENCE)
    code = "import sys; sys.path[:] = {!r}; from trtkit.serve.fronts.front import main; main({:d})"
    # A front knows what to do with signals only after its imports; until then it is to have none.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", code.format(sys.path, theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    return process, channel
