"""What INT8 costs the embedded matting network, on rendered portraits that neither training nor calibration saw.

`python -m training.cv_unet.int8 ARTIFACTS [PICTURES] [SIZE]` judges the INT8 form that `trtkit calibrate cv_unet`
wrote under ARTIFACTS, on the CPU: 200 pictures of 512 × 512 unless told otherwise.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.cv_unet.evaluate import held_out
from trtkit import artifacts, models
from trtkit.calib import accuracy
from trtkit.calib.accuracy import Summary
from trtkit.runtime.cpu import CpuBackend


@dataclass(frozen=True)
class Cost:
    """`summary`: INT8 against FP32; `fp32_sad` and `int8_sad`: mean sum of |Δα| / 1000 against the true alpha."""

    summary: Summary
    fp32_sad: float
    int8_sad: float

    @property
    def sad_change(self) -> float:
        """By how much INT8's error against the truth is larger than FP32's: 0.05 for 5 %, negative if smaller."""
        return self.int8_sad / self.fp32_sad - 1


def judge(root: Path, pictures: int = 200, size: int = 512) -> Cost:
    """Both forms under `root` on `pictures` held-out portraits of `size` × `size`."""
    spec = models.get("cv_unet").network("matting")
    output = spec.outputs[0]
    rgb, truth = held_out(pictures, size)
    rows = {}
    sad = {"fp32": 0.0, "int8": 0.0}
    paths = {precision: artifacts.onnx_path(root, "cv_unet", spec.name, precision) for precision in sad}
    with CpuBackend(paths["fp32"]) as fp32, CpuBackend(paths["int8"]) as int8:
        for number in range(pictures):
            image = {"image": rgb[number : number + 1]}
            wanted, found = fp32.run(image)[output.name], int8.run(image)[output.name]
            rows[f"portrait-{number:03}"] = accuracy.figures(output, wanted, found)
            for precision, alpha in (("fp32", wanted), ("int8", found)):
                off = np.abs(alpha[0, ..., 0].astype(np.float32) / 255 - truth[number])
                sad[precision] += float(off.sum()) / 1000 / pictures
    return Cost(accuracy.summary(rows), sad["fp32"], sad["int8"])


def main(root: Path, pictures: int = 200, size: int = 512) -> None:
    cost = judge(root, pictures, size)
    figures = cost.summary.figures
    sys.stdout.write(
        f"{pictures} held-out portraits of {size}x{size}, INT8 against FP32: mean error {figures['mae']:.3f} grey "
        f"levels, SAD {figures['sad_percent']:.3f} % of all alpha, gradient error {figures['gradient']:.4f}\n"
        f"worst: {cost.summary.worst}, mean error {cost.summary.per_image[cost.summary.worst]:.2f}\n"
        f"SAD against the true alpha: FP32 {cost.fp32_sad:.3f}, INT8 {cost.int8_sad:.3f} ({cost.sad_change:+.2%})\n"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
