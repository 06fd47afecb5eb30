"""How good the matting network is: on a seeded synthetic set it never saw, and on hand-masked real photographs.

`python -m training.cv_unet.evaluate [WEIGHTS.safetensors | NETWORK.onnx]` prints both tables; without an argument it
judges what ships in the package. Always on the CPU and in FP32, so that the figures come out again anywhere.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from training.cv_unet import real_masks
from trtkit.models.imaging.letterbox import letterbox

Predict = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""uint8 RGB [N, H, W, 3] → uint8 alpha [N, H, W, 1]: the contract of the exported network."""

SIZES = (256, 320, 384, 448, 512)
HELD_OUT_SEED = 20_000_003
"""Far from any seed that training counts up from."""
EMBEDDED = Path(__file__).resolve().parents[2] / "trtkit" / "models" / "cv_unet" / "embedded" / "matting.fp32.onnx"


@dataclass(frozen=True)
class RealResult:
    """`iou` of alpha > ½ and the mean absolute alpha error (0..1), over counted pixels."""

    iou: float
    error: float


@dataclass(frozen=True)
class SyntheticResult:
    """Means over pictures: `sad` sum of |Δα| / 1000, `mse` mean of Δα², `gradient` sum of squared differences of the
    alpha's gradient magnitudes (Gaussian, σ 1.4) / 1000; alphas 0..1, pictures of 256 × 256, as in matting
    benchmarks but over the whole picture."""

    sad: float
    mse: float
    gradient: float


def load(path: Path) -> Predict:
    """The network of a checkpoint or an exported graph."""
    if path.suffix == ".onnx":
        from trtkit.runtime.cpu import CpuBackend

        backend = CpuBackend(path)
        return lambda images: backend.run({"image": images})["alpha"]
    from trtkit.models.cv_unet.source import load_source

    module = load_source("matting", path)

    def predict(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(images)).numpy(), np.uint8)

    return predict


def cut_out(predict: Predict, picture: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Alpha float32 [H, W] in 0..1 of `picture` uint8 [H, W, 3], the network working at `size` × `size`."""
    boxed, placement = letterbox(picture, (size, size))
    alpha = placement.crop(predict(boxed[None])[0, :, :, 0])
    height, width = picture.shape[:2]
    full = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full, np.float32) / np.float32(255)


def variants(
    picture: NDArray[np.uint8], mask: real_masks.RealMask
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]]:
    """(name, picture, person, counted): as it is, mirrored, cropped and padded by a tenth, darker and brighter."""
    person, counted = mask.person, mask.counted
    height, width = person.shape
    dy, dx = height // 10, width // 10
    yield "as it is", picture, person, counted
    yield "mirrored", picture[:, ::-1].copy(), person[:, ::-1], counted[:, ::-1]
    crops = {
        "-10 % left": (slice(None), slice(dx, None)),
        "-10 % right": (slice(None), slice(None, -dx)),
        "-10 % top": (slice(dy, None), slice(None)),
        "-10 % bottom": (slice(None, -dy), slice(None)),
        "-10 % all round": (slice(dy, -dy), slice(dx, -dx)),
    }
    for name, part in crops.items():
        yield name, picture[part].copy(), person[part], counted[part]
    # Only the picture's own pixels count: what lies beyond its frame nobody knows.
    around = ((dy, dy), (dx, dx))
    padded = np.pad(picture, (*around, (0, 0)), mode="edge")
    yield "+10 % all round", padded, np.pad(person, around), np.pad(counted, around)
    for gamma in (0.7, 1.4):
        bent = np.rint(255 * (picture / 255.0) ** gamma).astype(np.uint8)
        yield f"gamma {gamma}", bent, person, counted


def judge(alpha: NDArray[np.float32], person: NDArray[np.bool_], counted: NDArray[np.bool_]) -> RealResult:
    found = alpha > 0.5
    both = (found & person & counted).sum()
    either = ((found | person) & counted).sum()
    return RealResult(float(both / either), float(np.abs(alpha - person)[counted].mean()))


def real(predict: Predict, picture: NDArray[np.uint8], mask: real_masks.RealMask) -> dict[tuple[str, int], RealResult]:
    """Every variant at every working size."""
    return {
        (name, size): judge(cut_out(predict, changed, size), person, counted)
        for name, changed, person, counted in variants(picture, mask)
        for size in SIZES
    }


def astronaut(predict: Predict) -> dict[tuple[str, int], RealResult]:
    import skimage.data

    picture = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    return real(predict, picture, real_masks.load(real_masks.DRAWN / "astronaut_mask.json"))


def held_out(pictures: int = 48, size: int = 256) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The synthetic test set: uint8 [N, s, s, 3] and alpha float32 [N, s, s], the same on every machine."""
    from training.cv_unet.frames import Pool

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(HELD_OUT_SEED)
        dice = random.getstate()
        random.seed(HELD_OUT_SEED)
        pool = Pool(pictures, pictures, size, "cpu", draw=min(8, pictures))
        images, alphas = [], []
        for start in range(0, pictures, 8):
            image, alpha, _ = pool.batch(min(8, pictures - start), size)
            images.append(image)
            alphas.append(alpha)
        random.setstate(dice)
    rgb = (torch.cat(images).permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    return rgb, torch.cat(alphas)[:, 0].numpy()


def synthetic(predict: Predict, pictures: int = 48, size: int = 256) -> SyntheticResult:
    rgb, truth = held_out(pictures, size)
    rows = []
    for image, alpha in zip(rgb, truth, strict=True):
        found = predict(image[None])[0, :, :, 0].astype(np.float32) / np.float32(255)
        off = found - alpha
        steep = _steepness(found) - _steepness(alpha)
        rows.append((np.abs(off).sum() / 1000, (off**2).mean(), (steep**2).sum() / 1000))
    sad, mse, gradient = np.mean(np.array(rows, np.float64), axis=0)
    return SyntheticResult(float(sad), float(mse), float(gradient))


def _steepness(alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    smooth = cv2.GaussianBlur(alpha, (0, 0), 1.4)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(cv2.magnitude(across, down), np.float32)


def table(results: dict[tuple[str, int], RealResult]) -> str:
    """Markdown: a row a variant, a column a working size, `IoU / mean alpha error` in the cells."""
    names = list(dict.fromkeys(name for name, _ in results))
    lines = ["| picture | " + " | ".join(map(str, SIZES)) + " |", "| --- |" + " --- |" * len(SIZES)]
    for name in names:
        cells = (f"{results[name, size].iou:.3f} / {results[name, size].error:.3f}" for size in SIZES)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(path: Path) -> None:
    predict = load(path)
    shown = astronaut(predict)
    worst_iou, worst_error = min(r.iou for r in shown.values()), max(r.error for r in shown.values())
    sys.stdout.write(f"{table(shown)}\nworst: IoU {worst_iou:.4f}, mean alpha error {worst_error:.4f}\n")
    made = synthetic(predict)
    sys.stdout.write(f"held-out synthetic: SAD {made.sad:.3f}, MSE {made.mse:.5f}, gradient {made.gradient:.4f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else EMBEDDED)
