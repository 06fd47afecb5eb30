"""Blur-fusion as the paper writes it, to compare with."""

import cv2
import numpy as np


def plainly_estimated(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The foreground colours in float64, at the picture's own size: float64 [H, W, 3]."""
    return _with_detail(rgb, alpha[..., None] / 255.0, *plain_fields(rgb, alpha))


def plain_fields(rgb: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smooth colours of foreground and background, float64 [H, W, 3] each."""
    share = alpha[..., None] / 255.0
    front = _mean(rgb.astype(np.float64), share, 45)
    back = _mean(rgb.astype(np.float64), 1 - share, 45)
    return _mean(_with_detail(rgb, share, front, back), share, 6), _mean(back, 1 - share, 6)


def _with_detail(rgb: np.ndarray, share: np.ndarray, front: np.ndarray, back: np.ndarray) -> np.ndarray:
    return np.clip(front + share * (rgb - share * front - (1 - share) * back), 0, 255)


def _mean(colour: np.ndarray, weight: np.ndarray, radius: int) -> np.ndarray:
    window = (2 * radius + 1, 2 * radius + 1)
    return cv2.blur(colour * weight, window) / (cv2.blur(weight, window)[..., None] + 1e-5)
