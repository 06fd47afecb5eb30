import threading

import cv2
import numpy as np
import pytest
from matplotlib import cbook
from skimage import data

from trtkit.errors import MissingComponent
from trtkit.models.dct_net import haar
from trtkit.models.dct_net.faces import largest_first

EYES = [(202.5, 100.5), (246.5, 103)]
"""The astronaut's pupils, read off an enlargement by eye."""


PHOTOGRAPHS = ["coffee", "chelsea", "camera", "rocket", "coins", "page", "text", "moon", "hubble_deep_field", "retina"]
PHOTOGRAPHS += ["clock", "brick", "grass", "gravel", "checkerboard", "immunohistochemistry", "cell", "horse", "logo"]
PHOTOGRAPHS += ["colorwheel"]


def rgb(image):
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else np.ascontiguousarray(image[..., :3])


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_without_a_frontal_face_have_none(name):
    image = getattr(data, name)()
    image = image.astype(np.uint8) * 255 if image.dtype == bool else image
    assert haar.find_faces(rgb(image)) == []


def test_the_astronaut_has_one_face_with_its_eyes_where_they_are(portrait_pixels):
    (face,) = haar.find_faces(portrait_pixels)
    assert np.abs(face.points[:2] - EYES).max() < 3
    assert (np.diff(face.points[[0, 2, 3], 1]) > 0).all(), "eyes, nose, mouth, downwards"


@pytest.mark.parametrize("scale", [0.7, 1.5, 4])
def test_the_same_face_at_other_sizes(portrait_pixels, scale):
    shown = cv2.resize(portrait_pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else 2)
    (face,) = haar.find_faces(np.asarray(shown, np.uint8))
    assert np.abs(face.points[:2] / scale - EYES).max() < 3


def test_a_portrait_with_hat_and_glasses():
    with cbook.get_sample_data("grace_hopper.jpg") as stream:
        image = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_COLOR_RGB)
    (face,) = haar.find_faces(image)
    assert face.points[0, 0] < face.points[1, 0]
    assert 60 < face.points[1, 0] - face.points[0, 0] < 120


def test_several_faces_come_largest_first(portrait_pixels):
    large = cv2.resize(portrait_pixels, None, fx=1.5, fy=1.5)
    both = np.full((768, 1280, 3), 128, np.uint8)
    both[:512, :512], both[:, 512:] = portrait_pixels, large
    first, second = haar.find_faces(both)
    assert first.box[2] > second.box[2]
    assert first.points[:, 0].min() > 512 > second.points[:, 0].max()


@pytest.mark.parametrize("cut", [np.s_[60:, :], np.s_[:, 165:], np.s_[:, :280], np.s_[:190, :]])
def test_a_face_at_the_border_is_found_within_the_picture(portrait_pixels, cut):
    part = np.ascontiguousarray(portrait_pixels[cut])
    (face,) = haar.find_faces(part)
    x, y, width, height = face.box
    assert x >= 0
    assert y >= 0
    assert x + width <= part.shape[1]
    assert y + height <= part.shape[0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (59, 200), (60, 60), (2000, 3)])
def test_pictures_too_small_for_a_face(shape):
    assert haar.find_faces(np.zeros((*shape, 3), np.uint8)) == []


def test_threads_do_not_disturb_each_other(portrait_pixels):
    found = []
    threads = [threading.Thread(target=lambda: found.append(haar.find_faces(portrait_pixels))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for faces in found:
        np.testing.assert_array_equal(faces[0].points, found[0][0].points)


def test_an_opencv_without_cascades_is_named_with_the_remedy(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(MissingComponent, match=r"OpenCV 4, and OpenCV .* has none; install .*'opencv-.*<5', or give"):
        haar.haar_detector()


def test_one_face_found_twice_is_one_and_ten_are_enough():
    assert largest_first([(10, 10, 50, 50), (0, 0, 80, 80)]) == [(0, 0, 80, 80)]
    many = [(100 * k, 0, 60 + k, 60 + k) for k in range(12)]
    assert largest_first(many) == many[:1:-1]
