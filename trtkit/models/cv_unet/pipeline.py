"""Portrait → cut-out: letterbox, one network run, alpha back to the picture's own resolution."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from trtkit.errors import Mistake
from trtkit.models.cv_unet import CANVAS, MATTING
from trtkit.models.imaging import compose
from trtkit.models.imaging.background import read_background
from trtkit.models.imaging.decode import LIMIT_MEGAPIXELS, Picture
from trtkit.models.imaging.letterbox import Placement, letterbox
from trtkit.models.imaging.upsample import upsample_alpha
from trtkit.models.pipeline import StageClock
from trtkit.runtime.backend import Arrays, Backend

LARGEST = 2048
"""Side of the largest canvas: sixteen times the memory of 512, and far past what a matting network was trained on."""


@dataclass(frozen=True)
class Options:
    """`size`: side of the square canvas the network sees; `background`: a colour or the path of a picture to stand
    behind the person, None for a transparent cut-out; `alpha_only`: the matte itself."""

    size: int = CANVAS
    background: str | None = None
    alpha_only: bool = False


@dataclass(frozen=True)
class Prepared:
    picture: Picture
    canvas: np.ndarray
    placement: Placement


class CutOut:
    """The cv_unet pipeline on one loaded network. Every method may be called from any thread."""

    def __init__(self, matting: Backend, options: Options, limit_megapixels: float = LIMIT_MEGAPIXELS) -> None:
        if options.background is not None and options.alpha_only:
            raise Mistake("--background and --alpha-only exclude each other: a matte has no colours to stand before")
        if options.size < MATTING.smallest:
            raise Mistake(f"--size {options.size} is too small; the network needs at least {MATTING.smallest}")
        if options.size > LARGEST:
            raise Mistake(f"--size {options.size} is too large; right would be at most {LARGEST}")
        self._matting = matting
        self._options = options
        self._background = (
            read_background(options.background, limit_megapixels) if options.background is not None else None
        )

    needed_pixels = None
    """All of them: the full-size colours guide the matte's edges, also where the matte alone is wanted."""

    notes = ()

    def prepare(self, picture: Picture, clock: StageClock) -> Prepared:
        """uint8 [H, W, 3] → the canvas uint8 [size, size, 3], content centred."""
        with clock.stage("resize"):
            canvas, placement = letterbox(picture.rgb, (self._options.size, self._options.size))
        return Prepared(picture, canvas, placement)

    def run(self, batch: list[Prepared], clock: StageClock) -> list[np.ndarray]:
        """One network run for the batch; a uint8 [size, size] alpha each."""
        with clock.stage("run"):
            outputs = self._matting.run({MATTING.inputs[0].name: np.stack([item.canvas for item in batch])})
        return list(outputs[MATTING.outputs[0].name][..., 0])

    def begin(self, item: Prepared, clock: StageClock) -> Future[np.ndarray]:
        """As `run` of this one, not waited for."""
        alpha: Future[np.ndarray] = Future()
        end = clock.begin("run")

        def done(ran: Future[Arrays]) -> None:
            end()
            if error := ran.exception():
                alpha.set_exception(error)
            else:
                alpha.set_result(ran.result()[MATTING.outputs[0].name][0, ..., 0])

        try:
            self._matting.submit({MATTING.inputs[0].name: item.canvas[None]}).add_done_callback(done)
        except BaseException:
            end()
            raise
        return alpha

    def finish(self, item: Prepared, raw: np.ndarray, clock: StageClock) -> np.ndarray:
        """The result at the picture's own size: uint8 [H, W, 4] RGBA, [H, W, 3] over a background, or [H, W]."""
        picture = item.picture
        with clock.stage("upsample"):
            crop = item.placement.crop
            matte = upsample_alpha(crop(raw), picture.size, picture.rgb, crop(item.canvas))
        if self._options.alpha_only:
            return matte if picture.alpha is None else np.minimum(matte, picture.alpha)
        with clock.stage("compose"):
            if self._background is None:
                return compose.cutout(picture.rgb, matte, picture.alpha)
            return compose.over_background(picture.rgb, matte, self._background, picture.alpha)
