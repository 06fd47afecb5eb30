import os
import shutil
import tempfile
from pathlib import Path

import pytest

from trtkit.errors import Mistake
from trtkit.infer.inputs import jobs
from trtkit.models.imaging.decode import FORMATS


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.jpg", "a.PNG", "notes.txt", "a.cutout.png", "sub"):
        (folder / name).mkdir() if name == "sub" else (folder / name).write_bytes(b"x")
    return folder


def _targets(*arguments):
    return [job.target for job in jobs(*arguments)]


def test_one_picture_goes_where_out_says(photos, tmp_path):
    assert _targets([str(photos / "b.jpg")], tmp_path / "x.webp", "cutout", ".png") == [tmp_path / "x.webp"]


def test_a_folder_gives_every_kind_that_can_be_decoded(tmp_path):
    for kind in FORMATS:
        (tmp_path / f"{kind}.{kind.lower()}").write_bytes(b"x")
    assert {job.source.stem for job in jobs([str(tmp_path)], tmp_path / "out", "cutout", ".png")} == set(FORMATS)


def test_one_picture_without_out_lies_beside_it(photos):
    assert _targets([str(photos / "b.jpg")], None, "cutout", ".png") == [photos / "b.cutout.png"]


def test_one_picture_into_a_folder(photos, tmp_path):
    (tmp_path / "cut").mkdir()
    assert _targets([str(photos / "b.jpg")], tmp_path / "cut", "cutout", ".png") == [tmp_path / "cut" / "b.cutout.png"]


def test_a_folder_gives_its_pictures_alone_and_never_its_own_results(photos, tmp_path):
    assert _targets([str(photos)], tmp_path / "cut", "cutout", ".webp") == [
        tmp_path / "cut" / "a.cutout.webp",
        tmp_path / "cut" / "b.cutout.webp",
    ]


def test_a_glob_is_expanded(photos, tmp_path):
    assert _targets([str(photos / "*.jpg")], tmp_path / "cut", "cutout", ".png") == [tmp_path / "cut" / "b.cutout.png"]


def test_two_pictures_of_one_name_do_not_overwrite_each_other(photos):
    (photos / "b.webp").write_bytes(b"x")
    names = [target.name for target in _targets([str(photos)], None, "cutout", ".png")]
    assert names == ["a.cutout.png", "b.cutout.png", "b.webp.cutout.png"]


def test_a_file_name_with_glob_characters_is_that_file(photos):
    (photos / "c[1].jpg").write_bytes(b"x")
    assert _targets([str(photos / "c[1].jpg")], None, "cutout", ".png") == [photos / "c[1].cutout.png"]


def test_out_that_is_a_file_is_refused_for_several(photos, tmp_path):
    (tmp_path / "cut").write_text("")
    with pytest.raises(Mistake, match=r"--out .*cut is a file; for 2 pictures it must be a folder"):
        jobs([str(photos)], tmp_path / "cut", "cutout", ".png")


def test_an_empty_folder_and_an_empty_glob_are_named(tmp_path):
    with pytest.raises(Mistake, match=r"holds no pictures"):
        jobs([str(tmp_path)], None, "cutout", ".png")
    with pytest.raises(Mistake, match=r"matches no picture"):
        jobs([str(tmp_path / "*.jpg")], None, "cutout", ".png")


def test_results_alone_are_called_that_and_done_if_named(photos):
    sentence = r"but results of earlier runs \(\*\.cutout\.\*\); to work on those, name each of them$"
    with pytest.raises(Mistake, match=r"a\.cut\*' matches no picture " + sentence):
        jobs([str(photos / "a.cut*")], None, "cutout", ".png")
    for name in ("b.jpg", "a.PNG"):
        (photos / name).unlink()
    with pytest.raises(Mistake, match=r"photos holds no pictures " + sentence):
        jobs([str(photos)], None, "cutout", ".png")
    assert _targets([str(photos / "a.cutout.png")], None, "cutout", ".png") == [photos / "a.cutout.cutout.png"]


def test_a_picture_that_is_named_in_three_ways_is_done_once_where_it_was_named_first(photos, monkeypatch):
    monkeypatch.chdir(photos)
    Path("linked").symlink_to(".")
    named = ["b.jpg", "sub/../b.jpg", str(photos), "linked/b.jpg", "*.jp*g"]
    assert [job.source for job in jobs(named, None, "cutout", ".png")] == [Path("b.jpg"), photos / "a.PNG"]


def test_links_of_two_names_are_two_pictures(photos):
    """As in a folder of links to contents: two names of equal pictures are two results."""
    for name in ("x.jpg", "y.jpg"):
        (photos / name).symlink_to(photos / "b.jpg")
    names = [target.name for target in _targets([str(photos / "[xy].jpg")], None, "cutout", ".png")]
    assert names == ["x.cutout.png", "y.cutout.png"]


def test_two_ways_to_one_folder_do_not_give_two_pictures_one_result(photos):
    (photos / "b.webp").write_bytes(b"x")
    named = [str(photos / "b.jpg"), str(photos / "sub" / ".." / "b.webp")]
    assert [target.name for target in _targets(named, None, "cutout", ".png")] == ["b.cutout.png", "b.webp.cutout.png"]


def test_an_empty_name_is_not_the_current_folder(photos, monkeypatch):
    monkeypatch.chdir(photos)
    with pytest.raises(Mistake, match=r"^the name of a picture is empty; name a file, a folder \('\.' for this one\)"):
        jobs([""], None, "cutout", ".png")


def test_a_result_never_replaces_its_picture(photos):
    with pytest.raises(Mistake, match=r"would replace the picture itself"):
        jobs([str(photos / "b.jpg")], photos / "b.jpg", "cutout", ".png")


@pytest.fixture
def forbidden():
    """A folder that this user may not look into. root may look into any: then with somebody else's eyes."""
    outside = Path(tempfile.mkdtemp())
    outside.chmod(0o755)
    (outside / "photos").mkdir(mode=0o000)
    as_root = os.geteuid() == 0
    if as_root:
        os.seteuid(65534)
    yield outside / "photos"
    if as_root:
        os.seteuid(0)
    (outside / "photos").chmod(0o755)
    shutil.rmtree(outside)


def test_a_folder_that_cannot_be_listed_is_named(forbidden):
    with pytest.raises(Mistake, match=r"photos cannot be listed: Permission denied"):
        jobs([str(forbidden)], None, "cutout", ".png")


def test_what_may_not_be_read_or_written_is_named_before_any_work(forbidden):
    with pytest.raises(Mistake, match=r"photos/a\.jpg cannot be read \(Permission denied\); check its permissions"):
        jobs([str(forbidden / "a.jpg")], None, "cutout", ".png")
    (readable := Path(tempfile.mkdtemp()) / "a.jpg").write_bytes(b"x")
    with pytest.raises(Mistake, match=r"photos cannot be written to \(Permission denied\); name another place"):
        jobs([str(readable)], forbidden / "out.png", "cutout", ".png")
    with pytest.raises(Mistake, match=r"photos cannot be written to \(Permission denied\); name another place"):
        jobs([str(readable)], forbidden / "cut", "cutout", ".png")
    shutil.rmtree(readable.parent)


def test_pictures_that_are_all_missing_are_named_at_once_and_one_among_others_in_its_turn(tmp_path, photos):
    with pytest.raises(Mistake, match=r"^gone\.jpg does not exist; check the name$"):
        jobs(["gone.jpg"], None, "cutout", ".png")
    with pytest.raises(Mistake, match=r"gone\.jpg does not exist; check the name \(none of 2 can be read\)$"):
        jobs(["lost.jpg", "gone.jpg"], None, "cutout", ".png")
    assert len(jobs(["gone.jpg", str(photos / "b.jpg")], tmp_path / "cut", "cutout", ".png")) == 2


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("file/out.png", "file is a file, not a folder, so out.png cannot be written there; name a folder"),
        ("file/deeper/out.png", "file is a file, not a folder, so out.png cannot be written there; name a folder"),
        ("out.xyz", "out.xyz cannot be written as an image; give it one of the suffixes .png, .webp, .jpg, .jpeg"),
        ("pipe.png", "pipe.png is no file that could be replaced; name another"),
    ],
)
def test_a_result_that_cannot_be_written_is_named_before_any_work(photos, tmp_path, monkeypatch, out, sentence):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    os.mkfifo("pipe.png")
    with pytest.raises(Mistake) as caught:
        jobs([str(photos / "b.jpg")], Path(out), "cutout", ".png")
    assert str(caught.value) == sentence


def test_several_results_of_one_picture_need_a_folder_that_can_be(photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Mistake, match=r"file is a file, not a folder, so b\.face\.\* cannot be written there"):
        jobs([str(photos / "b.jpg")], tmp_path / "file" / "deeper", "face", "")
