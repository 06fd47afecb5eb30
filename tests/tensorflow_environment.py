"""A Python with TensorFlow in it: TensorFlow wants versions of its own."""

from __future__ import annotations

from pathlib import Path

from tests.foreign_environment import interpreter


def python() -> Path:
    """The interpreter; its environment is made at the first call (about a minute). Skips without a registry."""
    return interpreter("tensorflow")
