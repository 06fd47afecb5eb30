"""How the official detector and landmark graphs are fed and read; the graphs themselves are stood in for here."""

import cv2
import numpy as np
import pytest

from trtkit.models.dct_net import official_faces
from trtkit.models.dct_net.official_faces import find_boxes, find_faces, find_landmarks, five_points

MEAN = (123, 116, 103)


def detector(*rows, seen=None):
    """Gives `rows` (score, y1, x1, y2, x2) and a row of rubbish behind what it counts."""

    def run(pixels):
        if seen is not None:
            seen.append(pixels)
        table = np.array([*rows, (0.99, 0, 0, 1, 1)], np.float32)
        return {
            "tower_0/boxes": table[None, :, 1:],
            "tower_0/scores": table[None, :, 0],
            "tower_0/num_detections": np.array([len(rows)], np.int32),
        }

    return run


def landmarks(points, seen=None):
    """Gives `points` [68, 2] (shares of the crop), head pose and states behind them."""

    def run(pixels):
        if seen is not None:
            seen.append(pixels)
        return {"tower_0/prediction": np.concatenate([np.ravel(points), np.full(7, 9.0)])[None].astype(np.float32)}

    return run


FLAT = np.full((68, 2), 0.5)


def test_the_detector_sees_the_picture_in_the_corner_of_its_square():
    seen = []
    picture = np.full((300, 600, 3), (10, 200, 30), np.uint8)
    find_boxes(picture, detector(seen=seen))
    assert (seen[0].shape, seen[0].dtype) == ((1, 512, 512, 3), np.uint8)
    np.testing.assert_array_equal(seen[0][0, :256], np.broadcast_to((10, 200, 30), (256, 512, 3)))
    np.testing.assert_array_equal(seen[0][0, 256:], np.broadcast_to(MEAN, (256, 512, 3)))


def test_sure_boxes_come_largest_first_in_the_picture_s_pixels():
    found = find_boxes(
        np.zeros((300, 600, 3), np.uint8),
        detector((0.9, 0.125, 0.25, 0.25, 0.375), (0.79, 0, 0, 0.5, 1), (0.81, 0.0, 0.5, 0.5, 1.0)),
    )
    np.testing.assert_allclose(found, [(300, 0, 600, 300), (150, 75, 225, 150)])


def test_ten_faces_at_most():
    rows = [(0.9, 0, 0, 0.2 + i / 100, 0.2 + i / 100) for i in range(14)]
    found = find_boxes(np.zeros((512, 512, 3), np.uint8), detector(*rows))
    assert len(found) == 10
    assert found[0][2] == pytest.approx(0.33 * 512)
    assert found[-1][2] == pytest.approx(0.24 * 512)


def test_points_are_shares_of_a_square_of_1_4_widths_around_the_box():
    seen = []
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[130:270, 130:270] = (0, 90, 200)
    shares = np.linspace(0, 1, 136).reshape(68, 2)
    found = find_landmarks(picture, (150.0, 160.0, 250.0, 241.0), landmarks(shares, seen))
    # The middle is (200, 200), the side 140.
    np.testing.assert_array_equal(found, np.trunc(shares.astype(np.float32).astype(np.float64) * 140 + 130))
    assert seen[0].shape == (1, 160, 160, 3)
    np.testing.assert_array_equal(seen[0], np.broadcast_to((0, 90, 200), (1, 160, 160, 3)))


def test_past_the_picture_there_is_the_mean_colour():
    seen = []
    find_landmarks(np.zeros((100, 100, 3), np.uint8), (-20.0, -10.0, 80.0, 110.0), landmarks(FLAT, seen))
    # The square reaches from -40 to 100 across and from -20 to 120 down.
    np.testing.assert_array_equal(seen[0][0, 80, :40], np.broadcast_to(MEAN, (40, 3)))
    np.testing.assert_array_equal(seen[0][0, 80, 60:], 0)
    np.testing.assert_array_equal(seen[0][0, 150, 60:], np.broadcast_to(MEAN, (100, 3)))


def test_small_faces_are_left_to_the_background_network():
    picture = np.zeros((512, 512, 3), np.uint8)
    rows = ((0.9, 0, 0, 60 / 512, 60 / 512), (0.9, 0, 0, 61 / 512, 40 / 512))
    assert [face.box for face in find_faces(picture, detector(*rows), landmarks(FLAT))] == [(0, 0, 40, 61)]


@pytest.mark.parametrize(("side", "faces"), [(512, 1), (720, 1), (1440, 0)])
def test_small_is_counted_at_the_side_that_the_official_pipeline_works_at(side, faces):
    """In a fine picture of 1440 a face of 80 pixels is one of 40."""
    rows = ((0.9, 0, 0, 80 / side, 70 / side),)
    assert len(find_faces(np.zeros((side, side, 3), np.uint8), detector(*rows), landmarks(FLAT))) == faces


def face_with_eyes():
    """A picture with two eyes, and 68 points around them: the outline of each is the six points of a lens."""
    picture = np.full((200, 300, 3), 190, np.uint8)
    points = np.full((68, 2), 150.0)
    for first, (x, y) in ((36, (100, 80)), (42, (180, 84))):
        cv2.ellipse(picture, (x, y), (26, 12), 0, 0, 360, (240, 240, 240), -1)
        cv2.circle(picture, (x + 3, y + 1), 6, (20, 20, 20), -1)
        outline = [(-24, 0), (-10, -11), (10, -11), (24, 0), (10, 11), (-10, 11)]
        points[first : first + 6] = [(x + dx, y + dy) for dx, dy in outline]
    points[30], points[48], points[54] = (140, 120), (110, 160), (172, 162)
    return picture, points


def test_pupils_are_the_dark_of_each_eye_and_nose_and_mouth_the_points():
    picture, points = face_with_eyes()
    found = five_points(picture, points)
    assert np.abs(found[:2] - [(103, 81), (183, 85)]).max() <= 2
    np.testing.assert_array_equal(found[2:], [(140, 120), (110, 160), (172, 162)])


def test_an_eye_outside_makes_both_the_middle_of_their_points():
    picture, points = face_with_eyes()
    points[42:48] += (200, 0)
    found = five_points(picture, points)
    np.testing.assert_allclose(found[0], points[36:41].mean(axis=0))
    np.testing.assert_allclose(found[1], points[42:47].mean(axis=0))
    points[42:48] = (180, 84)
    np.testing.assert_allclose(five_points(picture, points)[0], points[36:41].mean(axis=0))


def test_an_even_eye_has_its_middle_for_a_pupil():
    picture, points = face_with_eyes()
    picture[:] = 128
    left, top, right, bottom = *points[36:41].min(axis=0), *points[36:41].max(axis=0)
    np.testing.assert_allclose(five_points(picture, points)[0], ((left + right) / 2, (top + bottom) / 2), atol=3)


def test_without_both_graphs_there_is_no_official_detector():
    assert official_faces.official_detector({}) is None
    assert official_faces.official_detector({"detector": object()}) is None
