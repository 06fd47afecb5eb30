"""What --background names: a colour or a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trtkit.errors import Mistake
from trtkit.models.imaging.compose import Colour, parse_color
from trtkit.models.imaging.decode import decode


def read_background(text: str, limit_megapixels: float) -> Colour | np.ndarray:
    """(r, g, b) for a colour, uint8 [H, W, 3] RGB for an existing picture.

    Raises Mistake, naming --background, if it is neither.
    """
    path = Path(text)
    if path.is_file():
        return decode(path, limit_megapixels=limit_megapixels).rgb
    try:
        return parse_color(text)
    except Mistake as error:
        raise Mistake(
            f"--background {text} is neither a picture that is there nor a colour; name a file, or a colour like "
            "white, #fff, #ffffff or 255,255,255"
        ) from error
