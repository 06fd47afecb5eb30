from __future__ import annotations

import os
import subprocess
import sys

import pytest

from trtkit.build_engines.lock import building, remove_stale_parts
from trtkit.errors import Mistake


@pytest.fixture
def gone_pid() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_second_holder_is_refused_in_a_sentence_with_file_and_process(tmp_path):
    target = tmp_path / "toy" / "net.engine"
    with building(target), pytest.raises(Mistake) as error, building(target):
        raise AssertionError("two hold one lock")
    assert str(target) in str(error.value)
    assert f"process {os.getpid()}" in str(error.value)


def test_the_lock_is_free_again_afterwards_and_leaves_no_file(tmp_path):
    target = tmp_path / "net.engine"
    for _ in range(2):
        with building(target):
            assert (tmp_path / "net.engine.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_freed_by_an_exception(tmp_path):
    with pytest.raises(ZeroDivisionError), building(tmp_path / "net.engine"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_without_a_holder_does_not_block(tmp_path, gone_pid):
    (tmp_path / "net.engine.lock").write_text(str(gone_pid))
    with building(tmp_path / "net.engine"):
        assert (tmp_path / "net.engine.lock").read_text() == str(os.getpid())


def test_parts_of_dead_processes_go_and_those_of_others_stay(tmp_path, gone_pid):
    target = tmp_path / "net.engine"
    stale = [f"net.engine.{gone_pid}.part", f"net.engine.json.{gone_pid}.part", f"net.engine.{os.getpid()}.part"]
    kept = [f"net.engine.{os.getppid()}.part", f"other.engine.{gone_pid}.part", "net.engine.x.part"]
    for name in stale + kept:
        (tmp_path / name).touch()
    remove_stale_parts(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_folder_that_is_a_file_is_a_sentence(tmp_path):
    (tmp_path / "toy").touch()
    with pytest.raises(Mistake, match="is a file, not a folder"), building(tmp_path / "toy" / "net.engine"):
        raise AssertionError("no lock can be there")
