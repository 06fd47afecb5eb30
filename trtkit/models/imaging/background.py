"""What --background names: a colour or a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trtkit.errors import Mistake
from trtkit.models.imaging.compose import Colour, over_colour, parse_color
from trtkit.models.imaging.decode import decode

_BEHIND: Colour = (255, 255, 255)
"""What a transparent background picture itself stands before: its hidden colours may be anything."""


def read_background(text: str, limit_megapixels: float) -> Colour | np.ndarray:
    """(r, g, b) for a colour, uint8 [H, W, 3] RGB for an existing picture, over white where that is transparent.

    Raises Mistake, naming --background, if it is neither.
    """
    path = Path(text)
    if path.is_file():
        picture = decode(path, limit_megapixels=limit_megapixels)
        return picture.rgb if picture.alpha is None else over_colour(picture.rgb, picture.alpha, _BEHIND)
    try:
        return parse_color(text)
    except Mistake as error:
        raise Mistake(
            f"--background {text} is neither a picture that is there nor a colour; name a file, or a colour like "
            "white, #fff, #ffffff or 255,255,255"
        ) from error
