"""The driver calls, on a stand-in driver of two GPUs compiled for the test (real ones need a GPU)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from trtkit import gpus
from trtkit.errors import MissingComponent

DRIVER = r"""
#include <stdio.h>
#include <stdlib.h>
static int capabilities[2][2] = {{8, 9}, {9, 0}};
int cuInit(unsigned flags) { return getenv("NO_GPU") ? 100 : 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 10 + ordinal; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device)
{ *value = capabilities[device - 10][attribute - 75]; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device)
{ *context = (void *)(0x700000000000 + device); printf("retain %d\n", device); return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { printf("release %d\n", device); fflush(stdout); return 0; }
int cuCtxSetCurrent(void *context) { printf("current %p\n", context); fflush(stdout); return 0; }
"""
SCRIPT = """
from trtkit.gpus import current_gpu, local_capabilities
print(local_capabilities(), flush=True)
with current_gpu("9.0"):
    print("building", flush=True)
"""


@pytest.fixture
def with_driver(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("compiling the stand-in driver needs gcc")
    (tmp_path / "driver.c").write_text(DRIVER)
    library = tmp_path / "libcuda.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(tmp_path / "driver.c")], check=True)

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path), **environment}
        return subprocess.run([sys.executable, "-c", SCRIPT], env=environ, capture_output=True, text=True, check=False)

    return run


def test_the_gpu_of_the_capability_is_made_current_and_given_back(with_driver):
    told = with_driver()
    assert told.stderr == ""
    assert told.stdout.splitlines() == [
        "('8.9', '9.0')",
        "retain 11",
        "current 0x70000000000b",
        "building",
        "current (nil)",
        "release 11",
    ]


def test_a_driver_without_a_gpu_counts_as_none(with_driver):
    told = with_driver(NO_GPU="1")
    assert told.stdout.splitlines() == ["()"]
    assert "MissingComponent" in told.stderr


def test_building_on_an_absent_gpu_is_a_sentence(monkeypatch):
    monkeypatch.setattr(gpus, "local_capabilities", lambda: ())
    with pytest.raises(MissingComponent, match=r"no GPU of compute capability 8\.6"), gpus.current_gpu("8.6"):
        raise AssertionError("there is no such GPU")
