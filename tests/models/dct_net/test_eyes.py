import cv2
import numpy as np

from trtkit.models.dct_net.align import TEMPLATE, similarity
from trtkit.models.dct_net.eyes import five_points, pupil


def face(left=(80, 100), right=(176, 104)):
    grey = np.full((256, 256), 190, np.uint8)
    for centre in (left, right):
        cv2.ellipse(grey, centre, (22, 10), 0, 0, 360, 240, -1)
        cv2.circle(grey, centre, 8, 20, -1)
    return cv2.GaussianBlur(grey, (0, 0), 1.5)


def test_the_pupil_is_the_middle_of_the_dark_pixels():
    x, y = pupil(face(), (48, 72, 60, 60))
    assert abs(x - 80) <= 1.5
    assert abs(y - 100) <= 1.5


def test_an_even_patch_has_its_centre_for_a_pupil():
    assert pupil(np.full((90, 90), 200, np.uint8), (20, 30, 41, 41)) == (40, 50)
    assert pupil(np.full((90, 90), 200, np.uint8), (20, 30, 3, 3)) == (21, 31)


def test_the_pair_nearest_to_where_eyes_lie_wins_over_a_nostril():
    points = five_points(face(), [(150, 78, 52, 52), (100, 140, 40, 40), (54, 74, 52, 52), (20, 10, 40, 40)])
    assert np.abs(points[:2] - [(80, 100), (176, 104)]).max() < 2


def test_nose_and_mouth_follow_the_template():
    points = five_points(face(), [(54, 74, 52, 52), (150, 78, 52, 52)])
    fit = similarity(TEMPLATE, points)
    np.testing.assert_allclose(TEMPLATE @ fit[:, :2].T + fit[:, 2], points, atol=1e-6)


def test_without_two_eyes_the_box_s_proportions_serve():
    for eyes in ([], [(54, 74, 52, 52)], [(54, 74, 52, 52), (60, 80, 50, 50)], [(54, 20, 52, 52), (120, 120, 52, 52)]):
        points = five_points(face(), eyes)
        assert np.abs(points[:2] - [(78.9, 99.3), (176.1, 99.3)]).max() < 1
