"""`trtkit evaluate hrn`: its coefficient network by faces, and the others in the precisions that they have."""

import cv2
import numpy as np
import pytest

from tests.calib.conftest import pictures
from trtkit.calib import images, measured
from trtkit.errors import Mistake
from trtkit.evaluate.run import evaluate
from trtkit.models.hrn import study


def test_faces_are_what_is_compared_and_the_worst_is_shown(recon):
    found = evaluate(
        recon, ["fp32", "fp16", "int8"], images.drawn(3, study.draw, held_out=True), backend="cpu", batch=2
    )
    int8, fp16 = found.summaries["int8"], found.summaries["fp16"]
    assert int8.per_image[int8.worst] == pytest.approx(int8.figures["worst_vertices_percent"], abs=1e-6)
    assert 0 < fp16.figures["vertices_percent"] < int8.figures["vertices_percent"]
    (record,) = measured.read(recon.evaluation)
    assert (record.images, record.shape) == (3, [2, 224, 224, 3])
    sheet = cv2.imread(str(recon.worst_picture))
    assert sheet.shape[1] > 4 * 224
    assert sheet.std() > 20


def test_without_images_it_is_drawn_faces_that_calibration_did_not_see(recon, trtkit):
    answer = trtkit(
        "evaluate", "hrn", "--precision", "int8", "--limit", 2, "--backend", "cpu", "--artifacts", recon.root,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    said = " ".join(answer.out.split())
    assert "hrn/net_recon on cpu" in said
    assert "int8: worst image drawn-100" in said
    assert "% of the face's width on average off" in said
    assert "hrn/fan on cpu" not in said
    assert "hrn/fan has no INT8 form" in " ".join(answer.err.split())


def test_only_pictures_of_nobody_are_a_sentence(recon, tmp_path):
    folder = pictures(tmp_path / "nobody", *[np.full((80, 90, 3), grey, np.uint8) for grey in (60, 120, 180)])
    with pytest.raises(Mistake, match=r"--images: none of 3 pictures shows a face that can be aligned"):
        evaluate(recon, ["fp32", "int8"], images.from_folder(folder, None), backend="cpu")
    assert measured.read(recon.evaluation) == []
