"""Networks of several outputs are judged by all of them."""

from types import SimpleNamespace

import numpy as np

from trtkit.calib import accuracy
from trtkit.calib.images import ImageSet
from trtkit.evaluate.run import _accuracy
from trtkit.models import get


def test_the_output_that_differs_most_counts():
    """RetinaFace gives boxes, scores and points: points that are off must not hide behind boxes that are right."""
    network = get("hrn").network("retinaface")
    exact = {tensor.name: np.ones((1, *tensor.shape[1:]), np.float32) for tensor in network.outputs}
    points = network.outputs[-1].name
    off = exact | {points: exact[points] * 1.25}
    target = SimpleNamespace(spec=network)
    subject = SimpleNamespace(
        inputs=lambda pixels: {},
        figures=lambda output, wanted, found: accuracy.figures(output, wanted[output.name], found[output.name]),
        study=None,
    )
    reference = SimpleNamespace(run=lambda arrays: exact)
    other = SimpleNamespace(backend=SimpleNamespace(run=lambda arrays: off))
    images = ImageSet("photographs", {"one": "sum"}, lambda name: np.zeros((1, 1, 3), np.uint8))
    summaries, _ = _accuracy(target, subject, reference, {"fp16": other}, images, lambda *given: None)
    assert summaries["fp16"].figures["mae_percent"] == 25.0


def test_limit_counts_for_the_photographs_that_ship_too(calibrated, trtkit, config_file):
    answer = trtkit(
        "evaluate", "cv_unet", "--precision", "fp16", "--limit", 2, "--backend", "cpu", "--artifacts", calibrated.root,
        "--config", config_file,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert ", 2 images, timed at" in " ".join(answer.out.split())
    assert "note: a CPU computes FP16 in FP32; its error here says nothing about a GPU's" in " ".join(
        answer.err.split()
    )
