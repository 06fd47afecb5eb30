"""One network as calibration and evaluation meet it: what it sees of a picture, and how far apart two answers are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np

from trtkit.calib import accuracy
from trtkit.calib.target import Target
from trtkit.errors import Mistake
from trtkit.models.spec import TensorSpec
from trtkit.models.studied import Study
from trtkit.runtime.backend import Arrays
from trtkit.runtime.cpu import CpuBackend


class Subject:
    """`study`: the model's own account of it, None where pictures and grey levels do."""

    def __init__(self, target: Target, study: Study | None) -> None:
        self._target = target
        self.study = study

    def inputs(self, rgb: np.ndarray) -> Arrays | None:
        """One picture uint8 [H, W, 3] as the network's batch [1, …], None where it shows nothing for the network."""
        if self.study is not None:
            return self.study.inputs(rgb)
        return self._target.model.sample_inputs(self._target.spec.name, [rgb], self._target.size)

    def batch(self, pictures: Sequence[np.ndarray]) -> Arrays:
        """Several pictures as one batch, of which each shows something."""
        if self.study is None:
            made = self._target.model.sample_inputs(self._target.spec.name, list(pictures), self._target.size)
        else:
            rows = [arrays for rgb in pictures if (arrays := self.study.inputs(rgb)) is not None]
            made = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        return {name: np.ascontiguousarray(array) for name, array in made.items()}

    def figures(self, output: TensorSpec, reference: Arrays, found: Arrays) -> dict[str, float]:
        """accuracy.figures of one picture's `output`, and the model's own figure."""
        common = accuracy.figures(output, reference[output.name], found[output.name])
        if self.study is None or (studied := self._target.studied) is None:
            return common
        return common | {studied.figure: self.study.apart(reference, found)}

    def picture(self, answer: Arrays) -> np.ndarray:
        """One answer for people: RGB uint8 [h, w, 3], as large as the network's own picture."""
        if self.study is not None:
            return self.study.picture(answer)
        output = self._target.spec.outputs[0]
        return rgb(output, answer[output.name][0])

    def cost(self, reference: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> float:
        """One number for how far apart two answers are: the model's own, else the largest mean of any output."""
        if self.study is not None:
            return self.study.apart(reference, found)
        gaps = [np.abs(reference[name].astype(np.float64) - found[name]).mean() for name in reference]
        return float(max(gaps))


@contextmanager
def opened(target: Target) -> Iterator[Subject]:
    """With the networks before it loaded on the CPU, in FP32, where it sees what those find."""
    studied = target.studied
    with ExitStack() as stack:
        if studied is None:
            yield Subject(target, None)
            return
        before = {name: stack.enter_context(CpuBackend(exported.path)) for name, exported in target.before.items()}
        yield Subject(target, studied.open(before, target.model.around))


def nothing_seen(target: Target, count: int) -> Mistake:
    """That none of `count` pictures shows what the network looks at."""
    sought = target.studied.sought if target.studied is not None else "anything"
    return Mistake(
        f"--images: none of {count} pictures shows {sought}, so {target.name} sees nothing; name photographs like "
        "those it is for"
    )


def rgb(tensor: TensorSpec, array: np.ndarray) -> np.ndarray:
    """uint8 [H, W, C] as `tensor` states it → uint8 [H, W, 3] RGB."""
    if tensor.channels == "alpha":
        return np.repeat(array, 3, axis=-1)
    return np.ascontiguousarray(array[..., ::-1] if tensor.channels == "BGR" else array)
