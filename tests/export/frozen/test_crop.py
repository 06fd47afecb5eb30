"""CropAndResize on the host is TensorFlow's, to the bit where the fill value is at stake."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from trtkit.models.imported.crop import crop_and_resize

BOXES = np.array(
    [
        [0, 0, 1, 1],
        [99 / 199, 52 / 159, 1, 1],  # the last column's place is a rounding error outside
        [0.2, 0.3, 0.7, 0.9],
        [-0.2, 0.1, 1.3, 1.1],
        [0.9, 0.8, 0.1, 0.2],  # upside down
        [0.5, 0.5, 0.5, 0.5],
    ],
    np.float32,
)


@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_it_is_tensorflows(tf_python, tmp_path, method):
    image = np.random.default_rng(0).uniform(0, 255, (2, 200, 160, 3)).astype(np.float32)
    owners = np.array([0, 1, 0, 1, 0, 1], np.int32)
    np.savez(tmp_path / "in.npz", image=image, boxes=BOXES, owners=owners)
    code = f"""
        import numpy as np, tensorflow as tf
        a = np.load("in.npz")
        sizes = ((64, 64), (1, 9), (33, 20))
        crops = [tf.image.crop_and_resize(a["image"], a["boxes"], a["owners"], s, "{method}", 7.0) for s in sizes]
        np.savez("out.npz", **{{f"{{s[0]}}x{{s[1]}}": crop.numpy() for s, crop in zip(sizes, crops)}})
    """
    command = [tf_python, "-c", textwrap.dedent(code)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    with np.load(tmp_path / "out.npz") as wanted:
        for size in wanted.files:
            height, width = map(int, size.split("x"))
            found = crop_and_resize(image, BOXES, owners, (height, width), method, 7.0)
            assert np.array_equal(found == 7.0, wanted[size] == 7.0), size
            np.testing.assert_allclose(found, wanted[size], atol=1e-2)


def test_an_owner_that_is_not_there_gives_the_fill_value():
    assert (crop_and_resize(np.ones((1, 4, 4, 1)), BOXES[:1], np.array([3]), (2, 2), fill=5.0) == 5.0).all()


def test_no_box_gives_no_crop():
    assert crop_and_resize(np.ones((1, 4, 4, 1)), BOXES[:0], np.zeros(0, np.int32), (2, 3)).shape == (0, 2, 3, 1)


def test_it_needs_no_more_than_numpy():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, trtkit.models.imported.crop; print('onnxruntime' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
