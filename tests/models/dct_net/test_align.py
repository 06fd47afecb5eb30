import cv2
import numpy as np

from trtkit.models.dct_net import align


def test_the_template_is_the_official_one():
    expected = [
        (111.78243, 137.62857),
        (179.7399, 137.2527),
        (145.97716, 176.27773),
        (118.05937, 216.06203),
        (174.33623, 215.75076),
    ]
    np.testing.assert_allclose(align.TEMPLATE, expected, atol=2e-5)


def turned(points, angle, scale, shift):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return points @ np.array([[c, s], [-s, c]]) + shift


def test_a_similarity_is_found_again():
    found = align.similarity(align.TEMPLATE, turned(align.TEMPLATE, 0.3, 2.5, (40, -7)))
    c, s = 2.5 * np.cos(0.3), 2.5 * np.sin(0.3)
    np.testing.assert_allclose(found, [[c, -s, 40], [s, c, -7]], atol=1e-9)


def test_the_fit_is_the_least_squares_one_from_template_to_picture():
    rng = np.random.default_rng(0)
    points = turned(align.TEMPLATE, -0.2, 0.7, (90, 30)) + rng.normal(0, 6, (5, 2))
    fit = align.placement(points)

    def error(matrix):
        return np.square(align.TEMPLATE @ matrix[:, :2].T + matrix[:, 2] - points).sum()

    for index in range(4):
        for step in (1e-3, -1e-3):
            a, b, c, d = fit[0, 0], fit[1, 0], fit[0, 2], fit[1, 2]
            a, b, c, d = (value + (step if i == index else 0) for i, value in enumerate((a, b, c, d)))
            assert error(np.array([[a, -b, c], [b, a, d]])) > error(fit)
    inverted = cv2.invertAffineTransform(align.similarity(points, align.TEMPLATE))
    assert np.abs(inverted - fit).max() > 0.01, "the fit in the other direction is another one"


def test_coinciding_points_do_not_break_the_fit():
    assert np.isfinite(align.placement(np.full((5, 2), 7.0))).all()
    crop = align.head_crop(np.zeros((20, 20, 3), np.uint8), align.placement(np.full((5, 2), 7.0)))
    assert crop.shape == (288, 288, 3)


def test_the_crop_puts_the_points_on_the_template(portrait_pixels):
    canvas = np.zeros((500, 600, 3), np.uint8)
    points = turned(align.TEMPLATE, 0.15, 0.9, (130, 60))
    for x, y in points:
        cv2.circle(canvas, (round(x), round(y)), 4, (255, 255, 255), -1)
    crop = align.head_crop(canvas, align.placement(points))
    for x, y in align.TEMPLATE:
        assert crop[round(y), round(x)].min() > 200


def test_past_the_picture_is_white():
    crop = align.head_crop(np.zeros((300, 300, 3), np.uint8), np.array([[1.0, 0, -100], [0, 1, -50]]))
    assert (crop[:49] == 255).all()
    assert (crop[:, :99] == 255).all()
    assert (crop[55:245, 105:] == 0).all()
    assert (align.head_crop(np.zeros((9, 9, 3), np.uint8), np.array([[1.0, 0, 500], [0, 1, 500]])) == 255).all()


def test_a_large_head_is_averaged_not_sampled():
    """Stripes one pixel wide become their mean, at four times the canvas and any position."""
    stripes = np.zeros((1400, 1400, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = align.head_crop(stripes, np.array([[4.0, 0, 13], [0, 4.0, 11]]))
    assert np.abs(crop.astype(int) - 127.5).max() < 2


def test_averaging_moves_nothing():
    ramp = np.broadcast_to((np.arange(1400) * 0.18).astype(np.uint8)[None, :, None], (1400, 1400, 3))
    crop = align.head_crop(np.ascontiguousarray(ramp), np.array([[4.0, 0, 13], [0, 4.0, 11]]))
    expected = (4 * np.arange(288) + 13) * 0.18
    assert np.abs(crop[100, 5:-5, 0] - expected[5:-5]).max() < 1.5
