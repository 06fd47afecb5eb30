"""What stands behind: a picture that is itself transparent shows nothing that it hides."""

import numpy as np
import pytest
from PIL import Image

from trtkit.models.imaging.background import read_background


@pytest.mark.parametrize(("alpha", "colour"), [(0, (255, 255, 255)), (102, (255, 153, 153)), (255, (255, 0, 0))])
def test_a_transparent_background_stands_before_white(tmp_path, alpha, colour):
    Image.new("RGBA", (8, 6), (255, 0, 0, alpha)).save(tmp_path / "clear.png")
    behind = read_background(str(tmp_path / "clear.png"), 1)
    assert behind.shape == (6, 8, 3)
    assert np.array_equal(behind, np.full((6, 8, 3), colour, np.uint8))
