"""A stand-in for NVIDIA's driver with two GPUs, compiled for the test (a real one needs a GPU), and for nvidia-smi."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DRIVER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int capabilities[2][2] = {{8, 9}, {9, 0}};
static const char *names[2] = {"NVIDIA L4", "NVIDIA H200"};
static size_t memories[2] = {(size_t)23034 << 20, (size_t)143771 << 20};
int cuInit(unsigned flags) { return getenv("CU_INIT") ? atoi(getenv("CU_INIT")) : 0; }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 10 + ordinal; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device)
{ *value = capabilities[device - 10][attribute - 75]; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, names[device - 10], size); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = memories[device - 10]; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device)
{ *context = (void *)(0x700000000000 + device); printf("retain %d\n", device); return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { printf("release %d\n", device); fflush(stdout); return 0; }
int cuCtxSetCurrent(void *context) { printf("current %p\n", context); fflush(stdout); return 0; }
"""
NVIDIA_SMI = """#!/bin/sh
echo "NVIDIA A10, 8.6, 23028 MiB, 580.95"
echo "NVIDIA H200, 9.0, 143771 MiB, 580.95"
echo "NVIDIA L4, 8.9, 23034 MiB, 580.95"
"""
"""It shows every card there is, in another order than CUDA's."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def runner(folder: Path, script: str) -> Run:
    """run(**environment) → `script`, run on the stand-in driver, which is put into `folder`."""
    if shutil.which("gcc") is None:
        pytest.skip("compiling the stand-in driver needs gcc")
    source = folder / "driver.c"
    source.write_text(DRIVER)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(folder / "libcuda.so.1"), str(source)], check=True)

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        environ = {**inherited, "LD_LIBRARY_PATH": str(folder), **environment}
        return subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=False)

    return run


def nvidia_smi(folder: Path) -> str:
    """A PATH that has the stand-in, put into `folder`, before any other."""
    tool = folder / "nvidia-smi"
    tool.write_text(NVIDIA_SMI)
    tool.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
