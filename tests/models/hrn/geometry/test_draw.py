"""Drawing: nearest surface first, textures where their UVs say, straight lines in perspective."""

import numpy as np

from trtkit.models.hrn.geometry.draw import draw
from trtkit.models.hrn.geometry.pose import project

UVS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
TWO = np.array([[0, 1, 2], [2, 1, 3]])


def _sheet(near, far, half=1.0):
    """A square whose left edge is `near` and whose right edge is `far` from the camera."""
    return np.array([[-half, -half, near], [half, -half, far], [-half, half, near], [half, half, far]], np.float32)


def test_a_flat_square_shows_its_texture_upright():
    texture = np.zeros((2, 2, 3), np.float32)
    texture[0, 0], texture[0, 1] = (1, 0, 0), (0, 1, 0)
    colours, depth = draw(_sheet(10, 10), TWO, UVS, texture, (224, 224))
    rows, columns = np.nonzero(np.isfinite(depth))
    # y = -1 .. 1 is 10.5 .. 213.5 from below, and rows count from above.
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (11, 213, 10, 212)
    np.testing.assert_allclose(colours[20, 20], [1, 0, 0], atol=1e-5)
    np.testing.assert_allclose(colours[20, 204], [0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(depth[112, 112], 10, atol=1e-4)


def test_the_nearer_surface_hides_the_other_whatever_their_order():
    vertices = np.concatenate([_sheet(9, 9, 0.3), _sheet(11, 11)])
    uvs = np.concatenate([np.zeros((4, 2)), np.ones((4, 2))]).astype(np.float32)
    texture = np.zeros((2, 2, 1), np.float32)
    texture[1, 0], texture[0, 1] = 0.25, 0.75
    for order in (np.concatenate([TWO, TWO + 4]), np.concatenate([TWO + 4, TWO])):
        colours, depth = draw(vertices, order, uvs, texture, (112, 112))
        np.testing.assert_allclose(colours[56, 56], 0.25, atol=1e-6)
        np.testing.assert_allclose(colours[15, 56], 0.75, atol=1e-6)
        np.testing.assert_allclose([depth[56, 56], depth[15, 56]], [9, 11], atol=1e-4)


def test_texture_shrinks_with_distance():
    """The middle of a slanted square does not fall on the middle of its picture."""
    sheet = _sheet(8, 14)
    ramp = np.linspace(0, 1, 512, dtype=np.float32)[None, :, None] * np.ones((2, 1, 1), np.float32)
    colours, _ = draw(sheet, TWO, UVS, ramp, (224, 224))
    middle = project(sheet.mean(axis=0, keepdims=True))[0]
    column = round(float(middle[0]))
    np.testing.assert_allclose(colours[112, column], 0.5, atol=0.01)
    assert abs(column - (project(sheet)[:2, 0].mean())) > 5


def test_what_lies_behind_the_camera_is_not_drawn():
    _, depth = draw(_sheet(-3, -3), TWO, UVS, np.ones((1, 1, 3), np.float32), (64, 64))
    assert np.isinf(depth).all()
