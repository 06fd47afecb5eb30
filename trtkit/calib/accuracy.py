"""How far one form of a network is from another, in the figures people use for its kind of output.

Alphas as matting benchmarks judge them (Rhemann et al., CVPR 2009, over the whole picture): SAD, MSE, gradient error.
Pictures by PSNR and SSIM (models/imaging/quality.py). Coefficients of a face by the vertices that they make
(models/hrn/study.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.imaging import quality
from trtkit.models.spec import TensorSpec

PSNR_CEILING = 99.0
"""dB given to identical pictures."""


@dataclass(frozen=True)
class Summary:
    """`figures`: over all images; `worst`: name of the image that differs most on average; `per_image`: mean absolute
    error of each, or the distance of its vertices, in the order given."""

    figures: dict[str, float]
    worst: str
    per_image: dict[str, float]


def figures(spec: TensorSpec, reference: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Of one image's output, [1, …] arrays as `spec` states them; sums that `summary` turns into means and ratios."""
    wanted, got = reference[0].astype(np.float32), found[0].astype(np.float32)
    gap = np.abs(wanted - got)
    common = {"mae": float(gap.mean()), "max": float(gap.max()), "squared": float((gap**2).mean())}
    if spec.channels == "alpha":
        return common | {
            "sad": float(gap.sum()) / 255 / 1000,
            "alpha": float(wanted.sum()) / 255 / 1000,
            "mse": common["squared"] / 255**2,
            "gradient": float(((steepness(wanted[..., 0] / 255) - steepness(got[..., 0] / 255)) ** 2).sum()) / 1000,
        }
    if spec.channels is not None:
        alike = quality.ssim(reference[0], found[0])
        return common | {"psnr": _decibels(common["squared"]), "ssim": alike}
    return common | {"reach": float(np.abs(wanted).max())}


def summary(per_image: Mapping[str, Mapping[str, float]]) -> Summary:
    """Means over images. SAD's ratio is of sums (a picture without a person has none of its own), PSNR comes of the
    mean squared error of all pictures, and the least PSNR and SSIM stand beside it."""
    rows: Sequence[Mapping[str, float]] = list(per_image.values())

    def mean(name: str) -> float:
        return float(np.mean([row[name] for row in rows]))

    found = {"images": float(len(rows)), "mae": mean("mae"), "max": max(row["max"] for row in rows)}
    if "sad" in rows[0]:
        total = sum(row["alpha"] for row in rows)
        found["sad"], found["mse"], found["gradient"] = mean("sad"), mean("mse"), mean("gradient")
        found["sad_percent"] = 100 * sum(row["sad"] for row in rows) / total if total else 0.0
    elif "psnr" in rows[0]:
        found["psnr"], found["ssim"] = _decibels(mean("squared")), mean("ssim")
        found["least_psnr"] = min(row["psnr"] for row in rows)
        found["least_ssim"] = min(row["ssim"] for row in rows)
    else:
        reach = max(row["reach"] for row in rows)
        found["mae_percent"] = 100 * found["mae"] / reach if reach else 0.0
    if "vertices_percent" in rows[0]:
        found["vertices_percent"] = mean("vertices_percent")
        found["worst_vertices_percent"] = max(row["vertices_percent"] for row in rows)
    errors = {name: row.get("vertices_percent", row["mae"]) for name, row in per_image.items()}
    worst = max(errors, key=lambda name: errors[name])
    return Summary({name: round(value, 6) for name, value in found.items()}, worst, errors)


def _decibels(mean_squared: float) -> float:
    return min(PSNR_CEILING, 10 * math.log10(255**2 / mean_squared)) if mean_squared else PSNR_CEILING


def steepness(alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Gradient magnitude of alpha [H, W] in 0..1 under a Gaussian of σ 1.4."""
    smooth = cv2.GaussianBlur(alpha, (0, 0), 1.4)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(cv2.magnitude(across, down), np.float32)
