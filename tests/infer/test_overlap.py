"""No result replaces a picture to work on, or a file that an option names: said before anything is loaded."""

from pathlib import Path

import pytest
from PIL import Image

from trtkit.errors import Mistake
from trtkit.infer.inputs import jobs
from trtkit.runtime import select

EARLIER = "; leave out results of earlier runs, as a folder or a pattern in quotes does, or give --out another folder"


@pytest.fixture
def pictures(in_empty_folder):
    for name in ("a.jpg", "a.cutout.png", "a.cartoon.png", "a.face.texture.png", "bg.jpg"):
        Image.new("RGB", (8, 8), (200, 90, 40)).save(name)
    Path("here").symlink_to(".")
    return in_empty_folder


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(select, "load", lambda *_, **__: pytest.fail("a network was loaded"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            "a.jpg a.cutout.png",
            "the result of a.jpg would replace a.cutout.png, which is named as a picture, too" + EARLIER,
        ),
        (
            "a.cutout.png here/a.jpg",
            "the result of here/a.jpg would replace a.cutout.png, which is named as a picture, too" + EARLIER,
        ),
        (
            "a.jpg link.jpg",
            "the result of a.jpg would replace link.jpg, which is named as a picture, too" + EARLIER,
        ),
        (
            "-m dct_net a.jpg a.cartoon.png",
            "the result of a.jpg would replace a.cartoon.png, which is named as a picture, too" + EARLIER,
        ),
        (
            "-m hrn a.jpg a.face.texture.png",
            "the result of a.jpg would replace a.face.texture.png, which is named as a picture, too" + EARLIER,
        ),
        (
            "a.jpg --background bg.jpg -o bg.jpg",
            "the result of a.jpg would replace bg.jpg, which --background names; give --out another name",
        ),
        (
            "a.jpg --background a.cutout.png",
            "the result of a.jpg would replace a.cutout.png, which --background names; give --out another name",
        ),
        (
            "-m dct_net a.jpg --head-mask bg.jpg -o here/bg.jpg",
            "the result of a.jpg would replace bg.jpg, which --head-mask names; give --out another name",
        ),
        ("a.jpg -o here/a.jpg", "--out here/a.jpg would replace the picture itself; name another file"),
    ],
)
def test_it_is_one_sentence_and_nothing_is_touched(trtkit, pictures, no_network, arguments, sentence):
    if "link.jpg" in arguments:
        Path("link.jpg").symlink_to("a.cutout.png")
    before = {path.name: path.read_bytes() for path in pictures.glob("*.*")}
    answer = trtkit("infer", *arguments.split())
    assert (answer.code, answer.out, answer.err) == (2, "", f"trtkit: {sentence}\n")
    assert {path.name: path.read_bytes() for path in pictures.glob("*.*")} == before


def test_what_a_shell_makes_of_a_star_destroys_nothing_on_a_second_run(trtkit, pictures, no_network):
    answer = trtkit("infer", *sorted(path.name for path in pictures.glob("*.*")))
    assert answer.code == 2
    assert "would replace a.cutout.png" in answer.err


@pytest.mark.parametrize("named", [["."], ["*.*"], ["a.jpg"], ["a.jpg", "bg.jpg"]])
def test_a_folder_a_pattern_and_the_pictures_themselves_are_done_again(pictures, named):
    made = jobs(named, None, "cutout", ".png")
    assert "a.cutout.png" in {job.target.name for job in made}
    assert "a.cutout.png" not in {job.source.name for job in made}


@pytest.mark.parametrize("neighbour", ["a.face.jpg", "a.facet.png", "b.face.png", "sub/a.face.texture.png"])
def test_only_files_that_would_be_written_count(pictures, neighbour):
    path = Path(neighbour)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    assert len(jobs(["a.jpg", neighbour], None, "face", "")) == 2


def test_another_folder_is_as_good(pictures):
    assert len(jobs(["a.jpg", "a.cutout.png"], Path("cut"), "cutout", ".png")) == 2
    with pytest.raises(Mistake, match=r"the result of a\.jpg would replace a\.cutout\.png"):
        jobs(["a.jpg", "a.cutout.png"], Path("here"), "cutout", ".png")


def test_options_that_are_no_files_name_none(pictures):
    assert jobs(["a.jpg"], Path("bg.png"), "cutout", ".png", {"background": "white", "size": 64, "alpha_only": True})
