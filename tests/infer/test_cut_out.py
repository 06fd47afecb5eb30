"""`trtkit infer` on real pictures through the real embedded network, as a user runs it."""

import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from trtkit import artifacts, manifest, models
from trtkit.infer.inputs import Job
from trtkit.infer.run import process
from trtkit.models.cv_unet.pipeline import CutOut, Options
from trtkit.models.pipeline import StageClock
from trtkit.runtime import select

MODEL = models.get("cv_unet")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    loaded = select.load(MODEL, MODEL.network("matting"), tmp_path_factory.mktemp("none"))
    yield loaded.backend
    loaded.backend.close()


def test_a_portrait_becomes_a_cut_out_of_its_own_size(trtkit, portrait, in_empty_folder):
    answer = trtkit("infer", portrait, "-o", "out.png")
    assert answer.code == 0, answer.err
    with Image.open("out.png") as image:
        assert (image.mode, image.size) == ("RGBA", (512, 512))
        alpha = np.asarray(image)[..., 3]
    assert alpha[80:160, 195:260].mean() > 250, "the face stays"
    assert alpha[20:200, 20:90].mean() < 20, "the background goes"
    for said in ("embedded weights", "cpu: CPU"):
        assert said in answer.err
    for said in ("out.png", "decode", "resize", "run", "upsample", "encode", "total"):
        assert said in answer.out


def test_a_folder_goes_to_a_folder_and_one_bad_picture_stops_nobody(trtkit, portrait, in_empty_folder):
    photos = in_empty_folder / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b.jpg", "d.jpg"):
        shutil.copy(portrait, photos / name)
    (photos / "c.jpg").write_bytes(b"not a picture")
    answer = trtkit("infer", "photos/", "-o", "cut/")
    assert answer.code == 2
    assert sorted(path.name for path in (in_empty_folder / "cut").iterdir()) == [
        "a.cutout.png",
        "b.cutout.png",
        "d.cutout.png",
    ]
    assert "failed: photos/c.jpg" in answer.err
    assert "3 of 4 pictures written to cut" in answer.out


def test_a_background_colour_makes_an_opaque_picture(trtkit, portrait, in_empty_folder):
    assert trtkit("infer", portrait, "-o", "out.jpg", "--background", "#00ff00").code == 0
    pixels = np.asarray(Image.open("out.jpg"))
    assert pixels.shape == (512, 512, 3)
    assert np.abs(pixels[20:200, 20:90].astype(int) - (0, 255, 0)).mean() < 20


def test_a_background_picture_covers(trtkit, portrait, in_empty_folder):
    Image.new("RGB", (40, 90), (10, 20, 200)).save("behind.png")
    assert trtkit("infer", portrait, "-o", "out.png", "--background", "behind.png").code == 0
    assert np.abs(np.asarray(Image.open("out.png"))[20:200, 20:90, :3].astype(int) - (10, 20, 200)).mean() < 20


def test_the_matte_alone_is_the_cut_outs_alpha(trtkit, portrait, in_empty_folder):
    assert trtkit("infer", portrait, "-o", "matte.png", "--alpha-only").code == 0
    assert trtkit("infer", portrait, "-o", "out.png").code == 0
    matte, rgba = np.asarray(Image.open("matte.png")), np.asarray(Image.open("out.png"))
    assert matte.ndim == 2
    np.testing.assert_array_equal(matte, rgba[..., 3])


@pytest.fixture(scope="module")
def one_by_one(network, portrait_pixels, tmp_path_factory):
    """Five pictures, each cut out alone."""
    folder = tmp_path_factory.mktemp("alone")
    pictures = [portrait_pixels, portrait_pixels[:, ::-1], portrait_pixels[100:400], portrait_pixels[:, 60:400]]
    pictures.append(cv2.resize(portrait_pixels, (900, 700)))
    work = []
    for number, pixels in enumerate(pictures):
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{number}.png")
        work.append(Job(folder / f"{number}.png", folder / f"s-{number}.png"))
    for job in work:
        (outcome,) = process(CutOut(network, Options()), [job], StageClock(), 1)
        assert outcome.error is None
    return work


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_results_do_not_depend_on_the_batch(network, one_by_one, tmp_path, batch):
    work = [Job(job.source, tmp_path / f"b{batch}-{job.source.name}") for job in one_by_one]
    outcomes = process(CutOut(network, Options()), work, StageClock(), batch)
    assert [outcome.error for outcome in outcomes] == [None] * len(work)
    for one, many in zip(one_by_one, work, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(one.target)), np.asarray(Image.open(many.target)))


def test_a_transparent_input_stays_transparent_where_it_was(trtkit, portrait_pixels, in_empty_folder):
    alpha = np.full((512, 512, 1), 255, np.uint8)
    alpha[:, :256] = 0
    Image.fromarray(np.concatenate([portrait_pixels, alpha], axis=2)).save("half.png")
    assert trtkit("infer", "half.png", "-o", "out.png").code == 0
    assert np.asarray(Image.open("out.png"))[:, :250, 3].max() == 0


def test_a_cut_out_that_is_cut_out_again_keeps_its_colours(trtkit, portrait, in_empty_folder):
    assert trtkit("infer", portrait, "-o", "once.png").code == 0
    assert trtkit("infer", "once.png", "-o", "twice.png").code == 0
    once, twice = (np.asarray(Image.open(name)).astype(int) for name in ("once.png", "twice.png"))
    edge = (once[..., 3] > 0) & (once[..., 3] < 255) & (twice[..., 3] > 0)
    assert edge.sum() > 1000
    assert np.abs(once - twice)[edge, :3].mean() < 0.5


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (5, 7)])
def test_tiny_pictures_come_out_at_their_size(trtkit, in_empty_folder, size):
    Image.new("RGB", size, (200, 100, 50)).save("tiny.png")
    answer = trtkit("infer", "tiny.png", "-o", "out.png")
    assert answer.code == 0, answer.err
    assert Image.open("out.png").size == size


def test_a_huge_picture_is_refused_before_it_is_decoded(trtkit, in_empty_folder):
    Image.new("1", (20000, 20000)).save("huge.png")
    answer = trtkit("infer", "huge.png", "-o", "out.png")
    assert answer.code == 2
    assert "huge.png" in answer.err
    assert "20000" in answer.err
    assert "--max-megapixels" in answer.err
    assert not (in_empty_folder / "out.png").exists()


BAD = {
    "missing picture": (("gone.jpg", "-o", "out.png"), "gone.jpg does not exist"),
    "empty file": (("empty.jpg", "-o", "out.png"), "empty.jpg"),
    "out is a folder's file": (("p.jpg", "-o", "file/out.png"), "file is a file, not a folder"),
    "unknown model": (("p.jpg", "-m", "stable_diffusion"), "model 'stable_diffusion' is not known"),
    "unknown colour": (("p.jpg", "-o", "out.png", "--background", "blurple"), "--background"),
    "two ways at once": (("p.jpg", "--background", "white", "--alpha-only"), "--background and --alpha-only exclude"),
    "transparent jpg": (("p.jpg", "-o", "out.jpg"), "out.jpg"),
    "unknown suffix": (("p.jpg", "-o", "out.xyz"), "out.xyz"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_one_sentence_with_exit_code_2_and_nothing_written(trtkit, portrait, in_empty_folder, case):
    arguments, sentence = BAD[case]
    shutil.copy(portrait, "p.jpg")
    (in_empty_folder / "empty.jpg").write_bytes(b"")
    (in_empty_folder / "file").write_text("a file")
    before = sorted(in_empty_folder.rglob("*"))
    answer = trtkit("infer", *arguments)
    assert answer.code == 2
    assert sentence in answer.out + answer.err
    assert "Traceback" not in answer.out + answer.err
    assert sorted(in_empty_folder.rglob("*")) == before


@pytest.mark.parametrize("arguments", [("-o", "out.jpg"), ("--format", "jpg")])
def test_a_cut_out_as_jpeg_is_said_before_a_network_is_loaded(
    trtkit, portrait, in_empty_folder, monkeypatch, arguments
):
    shutil.copy(portrait, "p.png")
    monkeypatch.setattr(select, "load", lambda *_, **__: pytest.fail("a network was loaded"))
    answer = trtkit("infer", "p.png", *arguments)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert (
        "is a JPEG, which has no transparency; write .png or .webp, or give --background or --alpha-only" in answer.err
    )


@pytest.mark.parametrize("arguments", [("gone.jpg",), ("none/*.jpg",), (".",), ("p.jpg", "-o", "file/out.png")])
@pytest.mark.parametrize("model", models.NAMES)
def test_what_cannot_be_read_or_written_is_said_before_a_network_is_loaded(
    trtkit, portrait, in_empty_folder, monkeypatch, model, arguments
):
    if "file/out.png" in arguments:
        shutil.copy(portrait, "p.jpg")
        (in_empty_folder / "file").write_text("a file")
    monkeypatch.setattr(select, "load", lambda *_, **__: pytest.fail("a network was loaded"))
    answer = trtkit("infer", "-m", model, *arguments)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith("trtkit: ")


def test_an_onnx_that_is_not_the_models_is_refused(trtkit, portrait, in_empty_folder):
    embedded = MODEL.embedded_dir / "matting.fp32.onnx"
    target = artifacts.onnx_path(in_empty_folder / "artifacts", "cv_unet", "matting", "fp32")
    foreign = manifest.read(embedded).model_copy(update={"model": "dct_net"})
    manifest.publish(target, embedded.read_bytes(), foreign)
    answer = trtkit("infer", portrait, "-o", "out.png")
    assert answer.code == 2
    assert "is dct_net/matting, not cv_unet/matting" in answer.err


def test_a_damaged_onnx_is_found_before_it_is_loaded(trtkit, portrait, in_empty_folder):
    embedded = MODEL.embedded_dir / "matting.fp32.onnx"
    target = artifacts.onnx_path(in_empty_folder / "artifacts", "cv_unet", "matting", "fp32")
    manifest.publish(target, embedded.read_bytes(), manifest.read(embedded))
    target.write_bytes(target.read_bytes()[:-100])
    answer = trtkit("infer", portrait, "-o", "out.png")
    assert answer.code == 4
    assert "matting.fp32.onnx is cut short" in answer.err


def test_debug_shows_the_traceback(trtkit, in_empty_folder):
    with pytest.raises(Exception, match="is not known"):
        trtkit("--debug", "infer", "p.jpg", "-m", "nobody")
