"""A composite whose alpha and foreground colour are known: a dark disc with hair over two-coloured ground."""

import cv2
import numpy as np


def hair_over_ground(height: int = 480, width: int = 640) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rgb uint8 [H, W, 3], alpha uint8 [H, W], foreground uint8 [H, W, 3])."""
    rng = np.random.default_rng(0)
    alpha = np.zeros((height * 2, width * 2), np.uint8)
    centre, radius = (width, height), height // 2
    cv2.circle(alpha, centre, radius, 255, -1)
    for angle in rng.uniform(0, 2 * np.pi, 120):
        ends = [
            (int(centre[0] + r * np.cos(angle + bend)), int(centre[1] + r * np.sin(angle + bend)))
            for r, bend in ((radius * 0.95, 0.0), (radius * 1.5, rng.normal(0, 0.1)))
        ]
        cv2.line(alpha, *ends, int(rng.uniform(150, 255)), int(rng.integers(2, 6)), cv2.LINE_AA)
    alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
    ground = np.full((height, width, 3), (240, 230, 210), np.float32)
    ground[:, width // 2 :] = (90, 190, 120)
    ground = cv2.GaussianBlur(ground, (0, 0), 20)
    foreground = np.full((height, width, 3), (60, 40, 30), np.float32) + rng.normal(0, 3, (height, width, 1))
    share = alpha[..., None] / 255.0
    rgb = foreground * share + ground * (1 - share) + rng.normal(0, 1.5, (height, width, 3))
    return tuple(np.rint(np.clip(a, 0, 255)).astype(np.uint8) for a in (rgb, alpha, foreground))
