"""The UV square: its rasterisation against a search of every triangle, its cache, and what is drawn through it."""

import numpy as np
import pytest

from trtkit.models.hrn.geometry import uv_map
from trtkit.models.hrn.geometry.pose import flip_depth
from trtkit.models.hrn.geometry.texture import sample, texture_map


def _covering(uvs, triangles, u, v):
    """(triangle, shares) of the first triangle over a point, by solving for its shares, or None."""
    for index, corners in enumerate(triangles):
        system = np.vstack([uvs[corners].T.astype(np.float64), np.ones(3)])
        shares = np.linalg.solve(system, [u, v, 1])
        if (shares >= -1e-9).all():
            return index, shares
    return None


def test_each_pixel_finds_its_triangle(model):
    uv = uv_map.rasterize(model.uvs, model.uv_triangles, 32)
    for row in range(32):
        for column in range(32):
            wanted = _covering(model.uvs, model.uv_triangles, (column + 0.5) / 32, 1 - (row + 0.5) / 32)
            if wanted is None:
                assert not uv.covered[row, column]
                continue
            triangle, shares = wanted
            np.testing.assert_array_equal(uv.corners[row, column], model.uv_triangles[triangle])
            np.testing.assert_allclose(uv.weights[row, column], shares, atol=1e-5)
    assert 0.5 < uv.covered.mean() < 1


def test_first_of_two_triangles_counts_and_one_without_area_never():
    uvs = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]], np.float32)
    triangles = np.array([[0, 3, 4], [0, 1, 2], [1, 0, 2]])
    uv = uv_map.rasterize(uvs, triangles, 8)
    assert uv.covered.sum() == 36, "the half below the diagonal, and the diagonal itself"
    assert (uv.corners[uv.covered] == [0, 1, 2]).all()


def test_vertices_keep_their_uvs_through_the_map(model):
    uv = uv_map.rasterize(model.uvs, model.uv_triangles, 64)
    picture = uv_map.world_to_uv(model.uvs[None], uv)[0]
    rows, columns = np.nonzero(uv.covered)
    np.testing.assert_allclose(picture[rows, columns, 0], (columns + 0.5) / 64, atol=1e-5)
    np.testing.assert_allclose(picture[rows, columns, 1], 1 - (rows + 0.5) / 64, atol=1e-5)
    assert (picture[~uv.covered] == 0).all()


def test_map_is_made_once_and_a_damaged_one_again(model, tmp_path, monkeypatch):
    made = uv_map.cached(model.uvs, model.uv_triangles, tmp_path, 16)
    (file,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(uv_map, "rasterize", lambda *_: pytest.fail("made a second time"))
        kept = uv_map.cached(model.uvs, model.uv_triangles, tmp_path, 16)
    np.testing.assert_array_equal(kept.corners, made.corners)
    np.testing.assert_array_equal(kept.weights, made.weights)
    for damaged in (file.read_bytes()[:100], b""):
        file.write_bytes(damaged)
        again = uv_map.cached(model.uvs, model.uv_triangles, tmp_path, 16)
        np.testing.assert_array_equal(again.weights, made.weights)
    uv_map.cached(model.uvs + np.float32(0.01), model.uv_triangles, tmp_path, 16)
    assert len(list(tmp_path.iterdir())) == 2, "another mesh has another file"


def test_a_cache_that_cannot_be_written_is_done_without(model, tmp_path):
    (tmp_path / "file").touch()
    made = uv_map.cached(model.uvs, model.uv_triangles, tmp_path / "file", 16)
    assert made.covered.any()


def test_sampling_swaps_the_weights_of_the_rows(rng):
    image = rng.uniform(size=(1, 9, 7, 2)).astype(np.float32)
    points = np.array([[[2.25, 3.75], [-3, 20], [6.5, 8.5], [0.5, -0.25]]], np.float32)
    found = sample(image, points)
    for index, (x, y) in enumerate(points[0]):
        left, top = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - left, y - top
        wanted = np.zeros(2)
        for column, wx in ((left, 1 - fx), (left + 1, fx)):
            for row, wy in ((top, fy), (top + 1, 1 - fy)):
                wanted += wx * wy * image[0, min(max(row, 0), 8), min(max(column, 0), 6)]
        np.testing.assert_allclose(found[0, index], wanted, atol=1e-6)


def test_texture_is_the_picture_where_the_face_projects(model, vertices):
    """A picture whose colours are its own coordinates says where each pixel of the texture was taken."""
    camera = flip_depth(vertices)
    height, width = 120, 100
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    pictures = np.stack([np.stack([columns, rows], -1)] * 2)
    uv = uv_map.rasterize(model.uvs, model.uv_triangles, 24)
    texture = texture_map(camera, pictures, uv)
    for face, row, column in ((0, 12, 12), (1, 5, 17)):
        assert uv.covered[row, column]
        point = sum(w * camera[face, k] for w, k in zip(uv.weights[row, column], uv.corners[row, column], strict=True))
        x = (1015 * point[0] / point[2] + 112) * width / 224
        y = height - 1 - (1015 * point[1] / point[2] + 112) * height / 224
        fraction = y - np.floor(y)
        wanted_row = np.floor(y) + (1 - fraction)  # the swapped weights
        np.testing.assert_allclose(
            texture[face, row, column], [np.clip(x, 0, width - 1), np.clip(wanted_row, 0, height - 1)], atol=1e-2
        )
    row, column = np.argwhere(~uv.covered)[0]
    np.testing.assert_allclose(texture[0, row, column], [0, height - 1], err_msg="no triangle: the lower left corner")
