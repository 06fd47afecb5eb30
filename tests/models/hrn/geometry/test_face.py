"""Shape, pose, camera and light against sums written out one number at a time."""

import math

import numpy as np

from trtkit.models.hrn import coefficients
from trtkit.models.hrn.geometry import face_model, light, pose


def test_coefficients_split_and_join_in_the_order_of_the_heads(rng):
    vector = rng.normal(size=(3, 257)).astype(np.float32)
    parts = coefficients.split(vector)
    assert parts.identity[1, 0] == vector[1, 0]
    assert parts.expression[1, 0] == vector[1, 80]
    assert parts.albedo[1, 0] == vector[1, 144]
    assert parts.angles[1, 2] == vector[1, 226]
    assert parts.light[1, 2, 4] == vector[1, 227 + 2 * 9 + 4]
    assert parts.place[1, 2] == vector[1, 256]
    np.testing.assert_array_equal(coefficients.join(parts), vector)


def test_shape_is_mean_plus_each_basis_times_its_number(model, rng):
    identity, expression = rng.normal(size=(2, 80)).astype(np.float32), rng.normal(size=(2, 64)).astype(np.float32)
    found = face_model.shape(model, identity, expression)
    for face, vertex, axis in ((0, 0, 0), (1, 17, 2), (0, 41, 1)):
        row = 3 * vertex + axis
        wanted = model.mean[row]
        wanted += sum(float(model.identity[row, k]) * float(identity[face, k]) for k in range(80))
        wanted += sum(float(model.expression[row, k]) * float(expression[face, k]) for k in range(64))
        assert math.isclose(found[face, vertex, axis], wanted, abs_tol=1e-5)


def test_albedo_is_a_picture_of_red_green_blue_rows(model, rng):
    numbers = rng.normal(size=(1, 80)).astype(np.float32)
    found = face_model.albedo_map(model, numbers)
    assert found.shape == (1, 512, 512, 3)
    row = (100 * 512 + 7) * 3 + 2
    wanted = (model.albedo_mean[row] + float(model.albedo[row] @ numbers[0])) / 255
    assert math.isclose(found[0, 100, 7, 2], wanted, abs_tol=1e-5)


def _turned(point, x, y, z):
    """About x, then y, then z, a point at a time."""
    px, py, pz = point
    py, pz = py * math.cos(x) - pz * math.sin(x), py * math.sin(x) + pz * math.cos(x)
    px, pz = px * math.cos(y) + pz * math.sin(y), -px * math.sin(y) + pz * math.cos(y)
    px, py = px * math.cos(z) - py * math.sin(z), px * math.sin(z) + py * math.cos(z)
    return px, py, pz


def test_pose_turns_about_x_then_y_then_z_and_moves(vertices):
    angles = np.array([[0.3, -0.5, 0.2], [-0.1, 0.7, 1.1]], np.float32)
    offset = np.array([[0.1, 0.2, -0.3], [0, 0.5, 1]], np.float32)
    found = pose.place(vertices, pose.rotation(angles), offset)
    for face, vertex in ((0, 3), (1, 40)):
        wanted = np.array(_turned(vertices[face, vertex], *angles[face])) + offset[face]
        np.testing.assert_allclose(found[face, vertex], wanted, atol=1e-5)


def test_camera_is_a_pinhole_ten_units_away(vertices):
    camera = pose.flip_depth(vertices)
    assert math.isclose(camera[1, 5, 2], 10 - vertices[1, 5, 2], abs_tol=1e-6)
    x, y, z = (float(number) for number in camera[1, 5])
    np.testing.assert_allclose(pose.project(camera)[1, 5], [1015 * x / z + 112, 1015 * y / z + 112], atol=1e-3)
    wide = pose.project(camera, (512, 448))[1, 5]
    np.testing.assert_allclose(wide, [(1015 * x / z + 112) * 2, (1015 * y / z + 112) * 512 / 224], rtol=1e-5)
    assert (pose.project(np.zeros((1, 1, 3), np.float32)) == 0).all(), "no triangle here, no warning, no NaN"


def test_light_is_nine_harmonics_a_channel(rng):
    normal = rng.normal(size=3)
    x, y, z = normal / np.linalg.norm(normal)
    gamma = rng.normal(size=(3, 9)).astype(np.float32)
    albedo = rng.uniform(size=3)
    pi = math.pi
    a0, a1, a2 = pi, 2 * pi / math.sqrt(3), 2 * pi / math.sqrt(8)
    c0, c1, c2 = 1 / math.sqrt(4 * pi), math.sqrt(3) / math.sqrt(4 * pi), 3 * math.sqrt(5) / math.sqrt(12 * pi)
    y_ = [a0 * c0, -a1 * c1 * y, a1 * c1 * z, -a1 * c1 * x, a2 * c2 * x * y, -a2 * c2 * y * z]
    y_ += [a2 * c2 / (2 * math.sqrt(3)) * (3 * z * z - 1), -a2 * c2 * x * z, a2 * c2 / 2 * (x * x - y * y)]
    wanted = []
    for channel in range(3):
        weights = [float(value) for value in gamma[channel]]
        weights[0] += 0.8
        wanted.append(albedo[channel] * sum(h * w for h, w in zip(y_, weights, strict=True)))
    found = light.shade(
        albedo[None, None].astype(np.float32), np.array([[[x, y, z]]], np.float32), gamma[None].astype(np.float32)
    )
    np.testing.assert_allclose(found[0, 0], wanted, atol=1e-5)


def test_a_batch_is_its_faces_one_by_one(model, rng):
    vector = coefficients.split(rng.normal(0, 0.3, size=(3, 257)).astype(np.float32))
    together = face_model.shape(model, vector.identity, vector.expression)
    posed = pose.place(together, pose.rotation(vector.angles), vector.place)
    alone = face_model.shape(model, vector.identity[1:2], vector.expression[1:2])
    alone = pose.place(alone, pose.rotation(vector.angles[1:2]), vector.place[1:2])
    np.testing.assert_allclose(posed[1:2], alone, atol=1e-6)
