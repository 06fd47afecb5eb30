"""Crops and poses: what a known camera made must come back."""

import math

import numpy as np
from PIL import Image

from trtkit.models.hrn.geometry import align

STANDARD = np.array(
    [[-0.31, 0.29, 0.33], [0.31, 0.29, 0.33], [0, 0, 0.68], [-0.25, -0.32, 0.41], [0.25, -0.32, 0.41]], np.float32
)


def _turn(angle):
    return np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])


def test_pose_finds_place_and_scale_of_a_turned_face():
    points = 150 * (STANDARD @ _turn(0.4).T)[:, :2] + [310, 205]
    tx, ty, scale = align.pose(points, STANDARD)
    np.testing.assert_allclose([tx, ty, scale], [310, 205, 150], rtol=1e-5)


def test_five_points_are_eye_centres_nose_and_mouth(rng):
    points = rng.normal(size=(68, 2))
    five = align.five_of_68(points)
    np.testing.assert_allclose(five[0], (points[37 - 1] + points[40 - 1]) / 2)
    np.testing.assert_allclose(five[1], (points[43 - 1] + points[46 - 1]) / 2)
    np.testing.assert_array_equal(five[2:], points[[31 - 1, 49 - 1, 55 - 1]])


def test_frame_puts_the_face_in_the_middle_at_the_standard_size():
    height, width = 600, 800
    upward = 80 * STANDARD[:, :2] + [500, 350]
    five = np.stack([upward[:, 0], height - 1 - upward[:, 1]], axis=1)
    for side in (224, 512):
        frame = align.frame_of(five, STANDARD, (height, width), side)
        size = 102 * side / 224
        inside = (five * frame.scale) - [frame.left, frame.top]
        wanted = np.stack([STANDARD[:, 0] * size + side / 2, side / 2 - STANDARD[:, 1] * size], axis=1)
        np.testing.assert_allclose(inside, wanted, atol=1.5 + frame.scale, err_msg="whole pixels, and H - 1 - y")
        np.testing.assert_allclose(frame.to_picture(inside), five, atol=1e-3)


def test_cut_is_the_scaled_picture_cropped(rng):
    image = rng.integers(0, 256, (90, 120, 3)).astype(np.uint8)
    image[20:60, 30:80] = (200, 90, 40)
    for frame in (
        align.Frame(2.5, 60, 40, int(90 * 2.5), int(120 * 2.5), 100),
        align.Frame(1.3, -30, -25, int(90 * 1.3), int(120 * 1.3), 224),
        align.Frame(0.4, 5, -60, int(90 * 0.4), int(120 * 0.4), 64),
    ):
        scaled = Image.fromarray(image).resize((frame.width, frame.height), Image.Resampling.BICUBIC)
        box = (frame.left, frame.top, frame.left + frame.side, frame.top + frame.side)
        wanted = np.asarray(scaled.crop(box)).astype(int)
        assert np.abs(align.cut(image, frame).astype(int) - wanted).max() <= 1
    assert (align.cut(image, align.Frame(1, 500, 500, 90, 120, 32)) == 0).all()


def test_box_regression_is_two_small_layers(rng):
    regressor = align.BoxRegressor.of(
        {
            "W1": rng.normal(size=(6, 10)),
            "B1": rng.normal(size=(6, 1)),
            "W2": rng.normal(0, 0.2, size=(3, 6)),
            "B2": np.array([[-1.5], [-1.4], [1.9]]),
        }
    )
    five = rng.uniform(100, 300, (5, 2))
    mean_x, mean_y = (sum(point[k] for point in five) / 5 for k in (0, 1))
    size = math.sqrt(sum((x - mean_x) ** 2 + (y - mean_y) ** 2 for x, y in five) / 5)
    flat = [number for x, y in five for number in ((x - mean_x) / size, (y - mean_y) / size)]
    hidden = []
    for k in range(6):
        total = sum(regressor.w1[k, j] * flat[j] for j in range(10)) + regressor.b1[k]
        hidden.append(2 / (1 + math.exp(-2 * total)) - 1)
    out = [sum(regressor.w2[k, j] * hidden[j] for j in range(6)) + regressor.b2[k] for k in range(3)]
    wanted = (round(out[0] * size + mean_x), round(out[1] * size + mean_y), round(224 / out[2] * size))
    assert align.box_of(five, regressor) == wanted


def test_square_is_black_beyond_the_picture():
    image = np.full((50, 60, 3), 200, np.uint8)
    found = align.square(image, -20, -20, 40)
    assert found.shape == (224, 224, 3)
    assert (found[:100, :100] == 0).all()
    assert (found[130:, 130:] == 200).all()
    assert (align.square(image, 100, 100, 30) == 0).all()
