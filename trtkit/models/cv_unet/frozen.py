"""The official matting graph: its contract, and the pipeline on the chain that it became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trtkit.errors import Mistake
from trtkit.models.imaging import compose
from trtkit.models.imaging.background import read_background
from trtkit.models.imaging.decode import Picture
from trtkit.models.imported.chain import Chain
from trtkit.models.imported.chain_file import ChainRecord
from trtkit.models.pipeline import Pipeline, StageClock
from trtkit.models.spec import take_options

INPUT, OUTPUT = "input_image", "output_png"
"""float32 [H, W, 3] RGB 0..255, and uint8 [H, W, 4]: the picture itself and its alpha."""


@dataclass(frozen=True)
class Options:
    """`background`: a colour or the path of a picture to stand behind the person; `alpha_only`: the matte itself."""

    background: str | None = None
    alpha_only: bool = False


def open_pipeline(chain: Chain, record: ChainRecord, options: Mapping[str, Any], limit_megapixels: float) -> Pipeline:
    """The pipeline on an opened chain. Raises Mistake for an option that it does not have."""
    return OfficialCutOut(chain, record, take_options(Options, options, "the official cv_unet"), limit_megapixels)


class OfficialCutOut:
    """The official graph's own answer, at the picture's own size. Every method may be called from any thread."""

    needed_pixels = None

    def __init__(self, chain: Chain, record: ChainRecord, options: Options, limit_megapixels: float) -> None:
        if options.background is not None and options.alpha_only:
            raise Mistake("--background and --alpha-only exclude each other: a matte has no colours to stand before")
        self._chain, self._record, self._options = chain, record, options
        self._background = (
            read_background(options.background, limit_megapixels) if options.background is not None else None
        )

    @property
    def notes(self) -> tuple[str, ...]:
        networks = ", ".join(self._record.networks) or "none"
        return (f"{self._record.graph}: networks {networks}; the rest of the graph on the host",)

    def prepare(self, picture: Picture, clock: StageClock) -> Picture:
        return picture

    def run(self, batch: list[Picture], clock: StageClock) -> list[np.ndarray]:
        """uint8 [H, W, 4] each, as the graph gives it; the networks take the whole batch at once."""
        with clock.stage("run"):
            feeds = [{f"{INPUT}:0": picture.rgb.astype(np.float32)} for picture in batch]
            return [answer[f"{OUTPUT}:0"] for answer in self._chain.run(feeds)]

    def finish(self, item: Picture, raw: np.ndarray, clock: StageClock) -> np.ndarray:
        """uint8 [H, W, 4] RGBA, [H, W, 3] over a background, or the alpha [H, W]."""
        matte = np.ascontiguousarray(raw[..., 3])
        if self._background is not None:
            with clock.stage("compose"):
                return compose.over_background(item.rgb, matte, self._background, item.alpha)
        alpha = matte if item.alpha is None else np.minimum(matte, item.alpha)
        if self._options.alpha_only:
            return alpha
        return raw if item.alpha is None else np.dstack([raw[..., :3], alpha])
