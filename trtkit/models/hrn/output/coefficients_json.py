"""The 257 numbers of each face as JSON, by name, with where the face is in the picture."""

from __future__ import annotations

import json
from typing import Any

from trtkit.models.hrn.coefficients import split
from trtkit.models.hrn.faces import Faces


def document(faces: Faces, synthetic: bool) -> bytes:
    """{'model', 'synthetic', 'faces': [{'box', 'landmarks', 'crop', 'identity', …}]}; boxes and landmarks in pixels of
    the picture, crop the scale and corner of the 224 frame that the numbers refer to."""
    parts = split(faces.vector)
    listed: list[dict[str, Any]] = []
    for k, frame in enumerate(faces.frames):
        numbers = {name: _rounded(values[k]) for name, values in vars(parts).items()}
        crop = {"scale": frame.scale, "left": frame.left, "top": frame.top}
        listed.append(
            {"box": _rounded(faces.boxes[k]), "landmarks": _rounded(faces.points[k]), "crop": crop, **numbers}
        )
    return (json.dumps({"model": "hrn", "synthetic": synthetic, "faces": listed}, indent=1) + "\n").encode()


def _rounded(values: Any) -> Any:
    return values.astype(float).round(6).tolist()
