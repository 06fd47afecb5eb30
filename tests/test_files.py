import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from trtkit import files
from trtkit.errors import Mistake
from trtkit.files import check_writable, write_in_order, write_whole
from trtkit.models.hrn.geometry import uv_map


def test_the_content_arrives_and_no_temporary_name_stays(tmp_path):
    write_whole(tmp_path / "new" / "a.bin", b"123")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"123"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.bin"]


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "cut").write_text("a file")
    with pytest.raises(Mistake, match=r"cut is a file, not a folder, so a\.png cannot be written there"):
        write_whole(tmp_path / "cut" / "a.png", b"")


def test_what_is_no_file_is_never_replaced(tmp_path):
    pipe = tmp_path / "null"
    os.mkfifo(pipe)
    for way in (lambda: write_whole(pipe, b"123"), lambda: check_writable(pipe)):
        with pytest.raises(Mistake, match=r"null is no file that could be replaced; name another"):
            way()
    assert pipe.is_fifo()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(small_disk):
    with pytest.raises(Mistake, match=r"no room left on the disk for .*big\.bin"):
        write_whole(small_disk / "big.bin", bytes(8 << 20))
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_keeps_the_older_file(small_disk):
    write_whole(small_disk / "a.bin", b"old")
    with pytest.raises(Mistake, match="no room left"):
        write_whole(small_disk / "a.bin", bytes(8 << 20))
    assert (small_disk / "a.bin").read_bytes() == b"old"


def test_a_killed_writer_leaves_no_file_that_looks_finished(tmp_path):
    target = tmp_path / "a.bin"
    code = f"""
        import os, signal
        from pathlib import Path
        from trtkit import files
        real = os.fsync
        os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
        files.write_whole(Path({str(target)!r}), b"x" * 1000)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    assert all(path.suffix == ".part" for path in tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False).returncode == 0
    )
    if not mounted:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_user_whom_nothing_knows_has_a_home(trtkit, portrait, monkeypatch, in_empty_folder):
    """A container's user without an entry in passwd and without $HOME."""

    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MODELSCOPE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    assert uv_map._user_cache() == Path("/.cache/trtkit")
    answer = trtkit("infer", portrait, "-o", "out.png")
    assert answer.code == 0, answer.err


def ended_process() -> int:
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_writer_of_the_same_file_left_is_removed_and_nothing_else(tmp_path):
    files._left_in.cache_clear()
    gone = ended_process()
    left, running = tmp_path / f"a.bin.{gone}.part", tmp_path / f"a.bin.{os.getppid()}.part"
    others = [tmp_path / name for name in (f"b.bin.{gone}.part", "a.bin.part", "a.bin.one.part", "film.001.part")]
    for path in (left, running, *others):
        path.write_bytes(b"half")
        os.utime(path, (0, 0))
    write_whole(tmp_path / "a.bin", b"123")
    assert not left.exists()
    assert running.exists()
    assert all(path.exists() for path in others)
    write_whole(tmp_path / "b.bin", b"123")
    assert not others[0].exists()


def test_a_young_part_may_be_another_containers(tmp_path):
    files._left_in.cache_clear()
    part = tmp_path / f"a.bin.{ended_process()}.part"
    part.write_bytes(b"half")
    write_whole(tmp_path / "a.bin", b"123")
    assert part.exists()


def test_of_files_that_belong_together_none_gets_its_name_before_all_are_written(small_disk):
    write_in_order([(small_disk / "a.bin", b"old"), (small_disk / "b.bin", b"old")])
    with pytest.raises(Mistake, match=r"no room left on the disk for .*b\.bin; free some space or name another place"):
        write_in_order([(small_disk / "a.bin", b"new"), (small_disk / "b.bin", bytes(8 << 20))])
    assert (small_disk / "a.bin").read_bytes() == b"old"
    assert len(list(small_disk.iterdir())) == 2
