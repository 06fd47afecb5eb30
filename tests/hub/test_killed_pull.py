"""kill -9 at any moment: nothing half-made counts, and the next run ends where a clean one does."""

import shutil
import time

import pytest

from tests.hub.conftest import Puller, tree
from trtkit.hub import places, record
from trtkit.hub.official import official

WANTED = official("cv_unet")
MOMENTS = ("at once", "listed", "first file", "part of the second", "most of the second", "before the record")


@pytest.fixture(scope="module")
def clean(tmp_path_factory, files):
    """The tree that one undisturbed pull leaves."""
    from tests.hub.conftest import MODEL_ID, REVISION
    from tests.hub.fake_hub import FakeHub

    puller = Puller(tmp_path_factory.mktemp("clean"))
    with FakeHub({(MODEL_ID, REVISION): files}) as hub:
        assert puller(hub).returncode == 0
    return tree(puller.snapshot)


def _reached(moment, pull, hub):
    if moment == "at once":
        return True
    if moment == "listed":
        return bool(hub.requests)
    if moment == "first file":
        return (pull.snapshot / "configuration.json").exists()
    if moment == "before the record":
        return (pull.snapshot / "tf_graph.pb").exists() and not (pull.snapshot / record.NAME).exists()
    partial = pull.snapshot / "tf_graph.pb.incomplete"
    return partial.exists() and partial.stat().st_size > (100_000 if moment.startswith("part") else 450_000)


def _killed(pull, hub, moment) -> int:
    """The exit code of a pull that was to be killed at this moment."""
    process = pull.start("cv_unet", "--endpoint", hub.endpoint)
    while not _reached(moment, pull, hub) and process.poll() is None:
        time.sleep(0.0005)
    process.kill()
    process.communicate()
    return process.returncode


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_pull_killed_and_run_again_is_a_clean_pull(pull, hub, clean, moment):
    hub.bytes_per_second = 400_000
    for _ in range(20):  # the last moment is over in milliseconds
        code = _killed(pull, hub, moment)
        if moment != "before the record" or (code == -9 and places.find(pull.cache, WANTED) is None):
            break
        shutil.rmtree(pull.snapshot)
        hub.bytes_per_second = None
    assert code == -9
    assert places.find(pull.cache, WANTED) is None
    hub.bytes_per_second = None
    assert pull(hub).returncode == 0
    assert tree(pull.snapshot) == clean


def test_a_pull_killed_again_and_again_still_ends_as_a_clean_one(pull, hub, clean):
    hub.bytes_per_second = 250_000
    for _ in range(4):
        process = pull.start("cv_unet", "--endpoint", hub.endpoint)
        before = hub.sent
        while hub.sent < before + 80_000 and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        process.communicate()
    hub.bytes_per_second = None
    assert pull(hub).returncode == 0
    assert len(hub.ranges) >= 3, "it went on rather than began again"
    assert tree(pull.snapshot) == clean


def test_a_record_whose_writing_was_killed_is_swept_away(pull, hub, clean):
    pull.snapshot.mkdir(parents=True)
    (pull.snapshot / f"{record.NAME}.4242.part").write_bytes(b"{half")
    assert pull(hub).returncode == 0
    assert tree(pull.snapshot) == clean
