"""An environment with the upstream packages: where their classes serve as oracles.

It sees the packages of the testing environment, so that both sides compute with one torch.
"""

from __future__ import annotations

import functools
import site
from pathlib import Path

from tests.foreign_environment import interpreter
from trtkit.file_lock import alone


@functools.cache
def python() -> Path:
    """The interpreter of the environment; made at the first call. Skips if the registry cannot be reached."""
    found = interpreter("hrn-upstream")
    root = found.parent.parent
    path = next((root / "lib").glob("python3*")) / "site-packages" / "testing.pth"
    here = "\n".join(site.getsitepackages()) + "\n"
    with alone(root):
        # Another testing environment may share this cache.
        if not path.is_file() or path.read_text() != here:
            path.write_text(here)
    return found
