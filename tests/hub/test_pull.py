"""Every way a hub can behave ends in a whole snapshot or in one sentence."""

import json

import pytest

from tests.hub.conftest import MODEL_ID, REVISION, tree
from tests.hub.fake_hub import FakeHub
from trtkit.hub import places, record
from trtkit.hub.official import official

WANTED = official("cv_unet")
NEEDED = set(WANTED.files)


def _is_whole(pull) -> bool:
    return places.find(pull.cache, WANTED) is not None


def _one_sentence(done, code, *fragments):
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    for fragment in ("trtkit: ", *fragments):
        assert fragment in lines[0]


def test_a_fresh_pull_fetches_what_is_needed_and_nothing_else(pull, hub, files):
    done = pull(hub)
    assert (done.returncode, done.stderr) == (0, "")
    assert tree(pull.snapshot) == {
        **{name: files[name] for name in NEEDED},
        record.NAME: (pull.snapshot / record.NAME).read_bytes(),
    }
    assert str(pull.snapshot) in done.stdout
    assert _is_whole(pull)


def test_a_second_pull_asks_once_and_transfers_nothing(pull, hub):
    pull(hub)
    hub.requests.clear()
    done = pull(hub)
    assert "already there, as the hub has it" in done.stdout
    assert [path.split("?")[0].rpartition("/")[2] for path in hub.requests] == ["files"]


def test_what_was_cut_short_goes_on_where_it_stopped(pull, hub, files):
    hub.cut = {"tf_graph.pb": [200_000, 100_000]}  # two breaks, one retry: the first run fails
    first = pull(hub)
    _one_sentence(first, 3, "cannot be had", "tf_graph.pb", hub.endpoint)
    assert not _is_whole(pull)
    assert pull(hub).returncode == 0
    assert hub.ranges == ["tf_graph.pb bytes=200000-", "tf_graph.pb bytes=300000-"]
    assert (pull.snapshot / "tf_graph.pb").read_bytes() == files["tf_graph.pb"]
    assert _is_whole(pull)


def test_a_damaged_transfer_is_repeated(pull, hub, files):
    hub.damaged = {"tf_graph.pb": 1}
    assert pull(hub).returncode == 0
    assert (pull.snapshot / "tf_graph.pb").read_bytes() == files["tf_graph.pb"]


def test_a_file_that_stays_damaged_is_not_kept(pull, hub):
    hub.damaged = {"tf_graph.pb": 99}
    _one_sentence(pull(hub), 4, "tf_graph.pb", "another size or sha256", "was not kept")
    assert not (pull.snapshot / "tf_graph.pb").exists()
    assert not _is_whole(pull)


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_a_file_that_is_missing_is_named_before_anything_is_transferred(pull, hub, files, name):
    hub.repositories = {(MODEL_ID, REVISION): {key: value for key, value in files.items() if key != name}}
    _one_sentence(pull(hub), 2, f"has no file {name}", "--revision")
    assert hub.sent == 0
    assert not _is_whole(pull)


def test_a_wrong_revision_is_named(pull, hub):
    _one_sentence(pull(hub, "--revision", "v9"), 2, f"revision v9 of {MODEL_ID}", "does not exist", "--revision")


@pytest.mark.parametrize("refusal", ["private", "forbidden"])
def test_a_private_model_says_where_the_token_goes(pull, hub, refusal):
    setattr(hub, refusal, True)
    _one_sentence(pull(hub), 2, "not open to you", "MODELSCOPE_API_TOKEN")
    assert not _is_whole(pull)


def test_a_slow_hub_is_waited_for(pull, hub):
    hub.bytes_per_second = 500_000
    assert pull(hub).returncode == 0


def test_a_hub_that_falls_silent_is_given_up_and_gone_on_with_later(pull, hub, files):
    hub.stalls = {"tf_graph.pb"}
    _one_sentence(pull(hub), 3, "no answer in time at tf_graph.pb")
    assert not _is_whole(pull)
    hub.stalls = set()
    assert pull(hub).returncode == 0
    assert (pull.snapshot / "tf_graph.pb").read_bytes() == files["tf_graph.pb"]


def test_a_hub_that_goes_away_in_the_middle_leaves_no_half_snapshot(pull, hub):
    hub.gone_after = 300_000
    _one_sentence(pull(hub), 3, "cannot be had: the connection broke off at tf_graph.pb")
    assert not _is_whole(pull)
    hub.gone_after = None
    assert pull(hub).returncode == 0
    assert hub.ranges
    assert _is_whole(pull)


def test_a_hub_that_is_not_there(pull, hub):
    hub.leave()
    _one_sentence(pull(hub), 3, "the connection was refused", "--endpoint")
    assert not pull.snapshot.exists()


def test_a_whole_snapshot_stays_usable_when_the_hub_is_gone(pull, hub):
    pull(hub)
    hub.leave()
    done = pull(hub)
    assert done.returncode == 0
    assert "already there; the hub was not asked" in done.stdout


def test_a_hub_without_sums_is_said_to_be_one(pull, hub):
    hub.without_sums = True
    done = pull(hub)
    assert "not stated by the hub" in done.stdout
    assert _is_whole(pull)


def test_a_new_version_of_a_file_is_fetched_and_the_rest_left(pull, hub, files):
    pull(hub)
    hub.repositories = {(MODEL_ID, REVISION): {**files, "configuration.json": b'{"framework": "other"}'}}
    hub.sent = 0
    assert pull(hub).returncode == 0
    assert hub.sent == len(b'{"framework": "other"}')
    assert _is_whole(pull)


def test_a_failed_update_takes_the_record_of_the_old_version_with_it(pull, hub, files):
    pull(hub)
    changed = bytes(reversed(files["tf_graph.pb"]))
    hub.repositories = {(MODEL_ID, REVISION): {**files, "tf_graph.pb": changed}}
    hub.stalls = {"tf_graph.pb"}
    assert pull(hub).returncode == 3
    assert not _is_whole(pull)


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_a_snapshot_that_was_damaged_is_mended(pull, hub, files, damage):
    pull(hub)
    path = pull.snapshot / "tf_graph.pb"
    content = bytearray(files["tf_graph.pb"])
    if damage == "delete":
        path.unlink()
    else:
        content[7] ^= 1
        path.write_bytes(content if damage == "flip" else content[:-1])
    assert pull(hub, "--offline").returncode == 2
    assert pull(hub).returncode == 0
    assert path.read_bytes() == files["tf_graph.pb"]


def test_a_full_or_closed_folder_is_one_sentence(pull, hub):
    pull.snapshot.parent.mkdir(parents=True)
    pull.snapshot.write_text("a file where the folder should be")
    done = pull(hub)
    _one_sentence(done, 2, str(pull.snapshot))


def test_a_token_is_sent_and_never_printed(pull, hub, monkeypatch):
    pull.environment["MODELSCOPE_API_TOKEN"] = "secret-token"
    hub.private = True
    done = pull(hub)
    assert "secret-token" not in done.stdout + done.stderr


def test_the_record_says_nothing_of_the_machine(pull, hub):
    pull(hub)
    raw = json.loads((pull.snapshot / record.NAME).read_text())
    assert set(raw) == {"schema_version", "model_id", "revision", "compared", "files"}


def test_each_model_is_asked_for_at_its_own_revision(pull):
    wanted = {
        ("hrn", None): "v2.0.0-HRN",
        ("dct_net", None): "master",
        ("dct_net", "sketch"): "master",
        ("dct_net", "sd-design"): "v1.0.0",
        ("dct_net", "sd-illustration"): "v1.0.0",
    }
    for (model, style), revision in wanted.items():
        described = official(model, style)
        assert described.revision == revision
        repository = {name: name.encode() for name in described.files} | {"extra.bin": b"no"}
        with FakeHub({(described.model_id, revision): repository}) as hub:
            done = pull(hub, *(("--style", style) if style else ()), model=model)
        assert done.returncode == 0, done.stderr
        folder = places.find(pull.cache, described)
        assert folder is not None
        assert set(tree(folder)) == {*described.files, record.NAME}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nobody",), "model 'nobody' has no official snapshot"),
        (("cv_unet", "--style", "sketch"), "--style sketch is not known for cv_unet; it has no styles"),
        (("dct_net", "--style", "oil"), "--style oil is not known for dct_net; its styles: anime, 3d, "),
    ],
)
def test_what_cannot_be_pulled_is_said(trtkit, arguments, sentence):
    answer = trtkit("pull", *arguments)
    assert answer.code == 2
    assert sentence in answer.err
