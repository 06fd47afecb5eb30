"""Normals against loops over triangles, and the grid's against a mesh of every one of its squares."""

import numpy as np

from trtkit.models.hrn.geometry import normals


def _unit(vector, floor=1e-12):
    return vector / max(float(np.linalg.norm(vector)), floor)


def test_vertex_normal_sums_the_unit_normals_around(model, vertices):
    found = normals.of_vertices(vertices, model)
    for face in range(2):
        for vertex in (0, 6, 20, 41):
            total = np.zeros(3)
            for a, b, c in model.triangles:
                if vertex in (a, b, c):
                    p, q, r = (vertices[face, k].astype(np.float64) for k in (a, b, c))
                    total += _unit(np.cross(p - q, q - r))
            np.testing.assert_allclose(found[face, vertex], _unit(total), atol=1e-4)


def test_normals_point_at_the_viewer(model):
    """Triangles run anticlockwise for someone who looks against z."""
    flat = model.mean.reshape(1, -1, 3).copy()
    flat[..., 2] = 0
    np.testing.assert_allclose(normals.of_vertices(flat, model)[..., 2], 1, atol=1e-6)


def _grid_normals(positions):
    """One picture [H, W, 3], triangle by triangle, corner by corner."""
    height, width = positions.shape[:2]
    total = np.zeros((height * width, 3))
    flat = positions.reshape(-1, 3).astype(np.float64)
    for x in range(2, width - 1 - 2):
        for y in range(5, height - 1 - 5):
            a, b, c, d = y * width + x, y * width + x + 1, (y + 1) * width + x, (y + 1) * width + x + 1
            for i, j, k in ((a, c, b), (b, c, d)):
                total[j] += np.cross(flat[k] - flat[j], flat[i] - flat[j])
                total[k] += np.cross(flat[i] - flat[k], flat[j] - flat[k])
                total[i] += np.cross(flat[j] - flat[i], flat[k] - flat[i])
    return np.array([_unit(vector, 1e-6) for vector in total]).reshape(positions.shape)


def test_shifted_differences_are_the_dense_mesh(rng):
    positions = rng.normal(size=(2, 17, 14, 3)).astype(np.float32)
    found = normals.of_grid(positions)
    for picture in range(2):
        np.testing.assert_allclose(found[picture], _grid_normals(positions[picture]), atol=1e-4)
    assert (found[:, :5] == 0).all()
    assert (found[:, :, -2:] == 0).all()


def test_detail_is_the_change_of_the_grid_normals_on_top_of_the_smooth_ones(rng):
    positions = rng.normal(size=(1, 16, 12, 3)).astype(np.float32)
    smooth = normals.normalized(rng.normal(size=(1, 16, 12, 3)).astype(np.float32))
    displacement = rng.normal(0, 0.3, size=(1, 16, 12)).astype(np.float32)
    moved = positions.copy()
    for r in range(16):
        for c in range(12):
            moved[0, r, c] += displacement[0, r, c] * smooth[0, r, c]
    mirror = np.array([-1, -1, 1])
    wanted = _grid_normals(moved[0]) * mirror + smooth[0] - _grid_normals(positions[0]) * mirror
    np.testing.assert_allclose(normals.detailed(positions, smooth, displacement)[0], wanted, atol=1e-4)


def test_without_displacement_the_smooth_normals_stand(rng):
    positions = rng.normal(size=(1, 16, 12, 3)).astype(np.float32)
    smooth = normals.normalized(rng.normal(size=(1, 16, 12, 3)).astype(np.float32))
    found = normals.detailed(positions, smooth, np.zeros((1, 16, 12), np.float32))
    np.testing.assert_allclose(found, smooth, atol=1e-6)
