import cv2
import numpy as np
import pytest

from trtkit.errors import Mistake
from trtkit.models.dct_net import paste as pasting
from trtkit.models.dct_net.align import head_crop
from trtkit.models.dct_net.paste import paste, read_mask, soft_ellipse


def place(scale, x, y, angle=0.0):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, x], [s, c, y]])


def test_the_mask_is_whole_over_the_face_and_nothing_at_the_rim():
    mask = soft_ellipse()
    assert mask[130:220, 110:180].min() > 0.95
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert rim.max() == 0
    assert np.abs(np.diff(mask, axis=0)).max() < 0.05, "no step that would show"


@pytest.mark.parametrize("where", [place(1, 100, 100), place(0.7, -40, 300, 0.2), place(2.3, -200, -150, -0.3)])
def test_what_was_cut_out_goes_back_where_it_was(portrait_pixels, where):
    smooth = cv2.GaussianBlur(portrait_pixels, (0, 0), 4)
    back = smooth.copy()
    paste(back, head_crop(smooth, where), soft_ellipse(), where)
    assert cv2.absdiff(back, smooth).mean() < 0.5


def test_only_the_masked_part_changes_and_alpha_stays(portrait_pixels):
    rgba = np.dstack([portrait_pixels, np.full((512, 512), 77, np.uint8)])
    before = rgba.copy()
    paste(rgba, np.full((288, 288, 3), 200, np.uint8), soft_ellipse(), place(0.5, 50, 60))
    assert (rgba[..., 3] == 77).all()
    assert (rgba[60 + 70, 50 + 70, :3] == 200).all()
    outside = np.ones((512, 512), bool)
    outside[58 : 60 + 147, 48 : 50 + 147] = False
    np.testing.assert_array_equal(rgba[outside], before[outside])


def test_bands_leave_no_trace(portrait_pixels, monkeypatch):
    head = cv2.resize(portrait_pixels, (288, 288))
    results = []
    for band in (10**6, 64, 7):
        monkeypatch.setattr(pasting, "_BAND", band)
        results.append(portrait_pixels.copy())
        paste(results[-1], head, soft_ellipse(), place(1.5, 30, 20, 0.1))
    assert cv2.absdiff(results[0], results[1]).max() <= 2
    assert cv2.absdiff(results[0], results[2]).max() <= 2


@pytest.mark.parametrize("where", [place(1, 900, 900), place(1, -900, 0), place(0, 5, 5)])
def test_a_head_beside_the_picture_changes_nothing(portrait_pixels, where):
    back = portrait_pixels.copy()
    paste(back, np.zeros((288, 288, 3), np.uint8), soft_ellipse(), where)
    assert cv2.absdiff(back, portrait_pixels).max() <= (255 if where[0, 0] == 0 else 0)


def test_a_given_mask_is_read_grey_at_the_canvas_s_size(tmp_path):
    path = tmp_path / "alpha.jpg"
    cv2.imwrite(str(path), np.full((640, 640), 255, np.uint8))
    mask = read_mask(path)
    assert (mask.shape, mask.dtype) == ((288, 288), np.float32)
    assert mask.min() == 1
    with pytest.raises(Mistake, match=r"none\.jpg does not exist"):
        read_mask(tmp_path / "none.jpg")
