"""What `trtkit doctor` says of GPUs, on a stand-in driver and a stand-in nvidia-smi (real ones need a GPU)."""

from __future__ import annotations

import pytest

from tests import stand_in_driver

SCRIPT = """
from trtkit import config
from trtkit.report import doctor
for one in doctor._gpus(config.load()):
    print(one.subject, one.state, one.detail, one.mend, sep=" | ")
"""


@pytest.fixture
def told(tmp_path):
    """told(**environment) → the lines about driver and GPUs of a machine whose nvidia-smi shows an A10, an H200 and an
    L4, and whose driver shows the L4 and the H200."""
    run, path = stand_in_driver.runner(tmp_path, SCRIPT), stand_in_driver.nvidia_smi(tmp_path)

    def tell(**environment: str) -> list[str]:
        done = run(PATH=path, **environment)
        assert done.stderr == ""
        return done.stdout.splitlines()

    return tell


def test_each_gpu_is_named_as_the_driver_names_it_whatever_nvidia_smi_lists(told):
    driver, first, second = told(CUDA_VISIBLE_DEVICES="2,1")
    assert "runs CUDA up to 13.0; CUDA_VISIBLE_DEVICES=2,1 |" in driver
    assert first == "GPU 0 | ok | NVIDIA L4, compute capability 8.9, 23034 MiB; as --gpu l4 or rtx4090 | "
    assert second == "GPU 1 | ok | NVIDIA H200, compute capability 9.0, 143771 MiB; as --gpu h100 or h200 | "
    assert "CUDA_VISIBLE_DEVICES" not in told()[0]


def test_a_driver_that_does_not_start_is_not_called_missing(told):
    (line,) = told(CU_INIT="803")
    assert line.startswith("GPU | broken | nvidia-smi sees NVIDIA A10, compute capability 8.6, ")
    assert "but cuInit failed (803) | restart the machine" in line
    assert "not found" not in line


@pytest.mark.parametrize(("value", "state"), [("7", "broken"), ("", "absent"), ("-1", "absent")])
def test_gpus_that_the_environment_hides_are_said_to_be_hidden(told, value, state):
    (line,) = told(CU_INIT="100", CUDA_VISIBLE_DEVICES=value)
    assert line.startswith(f"GPU | {state} | nvidia-smi sees NVIDIA A10")
    said = f"but cuInit failed (100); CUDA_VISIBLE_DEVICES is set to '{value}' | unset CUDA_VISIBLE_DEVICES"
    assert line.endswith(said)


def test_a_driver_that_is_missing_is_called_missing(told, tmp_path):
    (tmp_path / "libcuda.so.1").write_text("not a library")  # stands in the way of this machine's own
    (line,) = told()
    assert "but the CUDA driver library (libcuda) is not found | install the driver's libcuda" in line


def test_without_nvidia_smi_a_driver_without_a_gpu_is_no_fault(told, tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (line,) = told(CU_INIT="100")
    assert line == "GPU | absent | no NVIDIA GPU is visible: cuInit failed (100); networks run on the CPU | "
