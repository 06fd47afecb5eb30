"""Faces by the Haar cascades inside OpenCV 4's wheel, for models without a detector of their own.

On scikit-image's photographs and a press portrait, `frontalface_alt2` finds each face once and nothing else, where
`frontalface_default` also finds one in a heap of coins.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.errors import MissingComponent
from trtkit.models.dct_net.eyes import five_points
from trtkit.models.dct_net.faces import Detector, Face, largest_first

Image = NDArray[np.uint8]

TITLE = "faces by OpenCV's Haar cascade"
_EMBEDDED = "the embedded weights have no detector of their own"
_OTHERS = "the official detector.pb and keypoints.pb have not been imported; trtkit export does, and says if it cannot"

_SEARCH_SIDE = 720
"""Short side the search runs at."""
_LEAST_FACE = 60
"""Pixels at that size; the official pipeline skips smaller faces, too."""
_FACE_SIDE = 256
"""Side a face is brought to before its eyes are looked for."""


def haar_detector(kind: str = "embedded") -> Detector:
    """The detector, beside weights of `kind`. Raises MissingComponent where OpenCV has no cascades: release 5 took them
    out of its wheel."""
    if not hasattr(cv2, "CascadeClassifier"):
        raise MissingComponent(
            f"faces need the Haar cascades of OpenCV 4, and OpenCV {cv2.__version__} has none; "
            "install it with: pip install 'opencv-python-headless>=4.11,<5', or give --no-faces"
        )
    _cascade("frontalface_alt2")
    return Detector(f"{TITLE}: {_EMBEDDED if kind == 'embedded' else _OTHERS}", find_faces)


def find_faces(rgb: Image) -> list[Face]:
    """Faces in `rgb` uint8 [H, W, 3], largest first."""
    scale = min(1.0, _SEARCH_SIDE / min(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    if min(size) < _LEAST_FACE:
        return []
    grey = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    found = _cascade("frontalface_alt2").detectMultiScale(grey, 1.1, 5, minSize=(_LEAST_FACE, _LEAST_FACE))
    boxes = [_scaled(box, 1 / scale, rgb.shape) for box in found]
    return [Face(box, _points(rgb, box)) for box in largest_first(boxes)]


def _points(rgb: Image, box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    left, top, width, height = box
    part = cv2.resize(
        rgb[top : top + height, left : left + width], (_FACE_SIDE, _FACE_SIDE), interpolation=cv2.INTER_AREA
    )
    grey = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    upper = grey[: _FACE_SIDE * 6 // 10]
    least = (_FACE_SIDE // 8, _FACE_SIDE // 8)
    eyes = [
        (int(x), int(y), int(w), int(h))
        for name in ("eye", "eye_tree_eyeglasses")
        for x, y, w, h in _cascade(name).detectMultiScale(upper, 1.05, 4, minSize=least)
    ]
    points = five_points(grey, eyes)
    return (points + 0.5) * [width / _FACE_SIDE, height / _FACE_SIDE] - 0.5 + [left, top]


def _scaled(box: Any, scale: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    x, y, width, height = (round(float(side) * scale) for side in box)
    x, y = min(x, shape[1] - 1), min(y, shape[0] - 1)
    return x, y, min(width, shape[1] - x), min(height, shape[0] - y)


_local = threading.local()


def _cascade(name: str) -> Any:
    """This thread's classifier: OpenCV's keeps its scratch space in itself."""
    if not hasattr(_local, name):
        opencv: Any = cv2  # its own types know cascades in release 4 alone
        path = Path(opencv.data.haarcascades) / f"haarcascade_{name}.xml"
        classifier = opencv.CascadeClassifier(str(path)) if path.is_file() else None
        if classifier is None or classifier.empty():
            raise MissingComponent(
                f"{path} is missing from OpenCV {cv2.__version__}; install it again with: "
                "pip install --force-reinstall 'opencv-python-headless>=4.11,<5', or give --no-faces"
            )
        setattr(_local, name, classifier)
    return getattr(_local, name)
