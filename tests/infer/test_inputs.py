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


def test_a_result_never_replaces_its_picture(photos):
    with pytest.raises(Mistake, match=r"would replace the picture itself"):
        jobs([str(photos / "b.jpg")], photos / "b.jpg", "cutout", ".png")


def test_a_folder_that_cannot_be_listed_is_named(photos):
    if os.geteuid() != 0:
        photos.chmod(0)
        with pytest.raises(Mistake, match=r"photos cannot be listed: Permission denied"):
            jobs([str(photos)], None, "cutout", ".png")
        return
    # root lists anything: look with somebody else's eyes.
    outside = Path(tempfile.mkdtemp())
    (outside / "photos").mkdir(mode=0o000)
    outside.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(Mistake, match=r"photos cannot be listed: Permission denied"):
            jobs([str(outside / "photos")], None, "cutout", ".png")
    finally:
        os.seteuid(0)
        shutil.rmtree(outside)
