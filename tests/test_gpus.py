"""The driver calls, on a stand-in driver of two GPUs compiled for the test (real ones need a GPU)."""

from __future__ import annotations

import pytest

from tests import stand_in_driver
from trtkit import gpus
from trtkit.errors import MissingComponent

SCRIPT = """
from trtkit.gpus import current_gpu, local_capabilities
print(local_capabilities(), flush=True)
with current_gpu("9.0"):
    print("building", flush=True)
"""


@pytest.fixture
def with_driver(tmp_path):
    return stand_in_driver.runner(tmp_path, SCRIPT)


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
    told = with_driver(CU_INIT="100")
    assert told.stdout.splitlines() == ["()"]
    assert "MissingComponent" in told.stderr


def test_each_gpu_has_the_name_and_the_memory_that_the_driver_gives_it(tmp_path):
    told = stand_in_driver.runner(tmp_path, "from trtkit.gpus import local_names; print(local_names())")()
    assert told.stdout == "(('NVIDIA L4', 24152899584), ('NVIDIA H200', 150754820096))\n"


def test_a_driver_that_is_not_there_is_told_from_one_that_does_not_start(tmp_path):
    script = "from trtkit.gpus import init_error; print(init_error())"
    run = stand_in_driver.runner(tmp_path, script)
    assert [run(CU_INIT=code).stdout for code in ("0", "100", "803")] == ["0\n", "100\n", "803\n"]
    (tmp_path / "libcuda.so.1").write_text("not a library")  # stands in the way of this machine's own
    assert run().stdout == "None\n"


def test_building_on_an_absent_gpu_is_a_sentence(monkeypatch):
    monkeypatch.setattr(gpus, "local_capabilities", lambda: ())
    with pytest.raises(MissingComponent, match=r"no GPU of compute capability 8\.6"), gpus.current_gpu("8.6"):
        raise AssertionError("there is no such GPU")
