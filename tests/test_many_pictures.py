"""Counted in a process of its own: what the allocator has learnt from other tests would count, too."""

import os
import platform
import subprocess
import sys

import pytest

PICTURES = """
import resource, sys
import numpy as np
from trtkit.many_pictures import keep_freed_memory

said = keep_freed_memory() if sys.argv[1] == "kept" else None

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def picture():
    return sum(float(array[0, 0]) for array in [np.ones((384, 1536), np.float32) for _ in range(6)])

picture(), picture()
before = faults()
for _ in range(10):
    picture()
print(said, (faults() - before) // 10)
"""


def _picture_after_picture(way: str, **environment: str) -> tuple[str, int]:
    """What keep_freed_memory said, and page faults a picture."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", PICTURES, way]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, check=True)
    said, count = done.stdout.split()
    return said, int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_a_picture_takes_the_memory_of_the_one_before():
    assert _picture_after_picture("as it is")[1] > 1000
    said, faults = _picture_after_picture("kept")
    assert said == "True"
    assert faults < 20


def test_an_operators_own_settings_hold():
    assert _picture_after_picture("kept", MALLOC_ARENA_MAX="2")[0] == "False"
