"""Portrait → cartoon: the whole picture by one network, each head by the other, blended.

Always the picture's own size, uint8, with its alpha if it has one: the official pipeline gives float colours, and
where it finds no face a picture at its reduced working size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.dct_net import BACKGROUND, HEAD, HEAD_MASK, HEAD_SIDE, SHORT_SIDE, sizing
from trtkit.models.dct_net.align import Affine, head_crop, placement
from trtkit.models.dct_net.faces import MOST, Detector
from trtkit.models.dct_net.haar import haar_detector
from trtkit.models.dct_net.official_faces import official_detector
from trtkit.models.dct_net.options import Options
from trtkit.models.dct_net.paste import Mask, paste, read_mask, soft_ellipse
from trtkit.models.dct_net.tiles import largest_area, largest_tile, run_tiled, tile_shape
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import Pipeline, StageClock
from trtkit.models.spec import Around, NetworkSpec, take_options
from trtkit.runtime.backend import Backend

Image = NDArray[np.uint8]


def open_pipeline(
    networks: Mapping[str, Backend],
    options: Mapping[str, Any],
    limit_megapixels: float,
    around: Around | None = None,
) -> Pipeline:
    """The pipeline on the loaded networks, with the official detector and mask where `around` has them. Raises Mistake
    for an option or a mask that cannot be, MissingComponent where faces are wanted and no detector is here."""
    taken, around = take_options(Options, options, "dct_net"), around or Around()
    if taken.no_faces:
        return Cartoon(networks, taken, None)
    detector = official_detector(around.chains) or haar_detector(around.kind)
    return Cartoon(networks, taken, detector, around.files.get(HEAD_MASK))


@dataclass(frozen=True)
class Prepared:
    """`rgb` uint8 [h, w, 3] at the working size; `heads` uint8 [K, 288, 288, 3] BGR, `places` where each belongs."""

    picture: Picture
    rgb: Image
    heads: Image
    places: list[Affine]


@dataclass(frozen=True)
class Drawn:
    """What the networks gave: the picture uint8 [h, w, 3 or 4] RGB(A), and the heads uint8 [K, 288, 288, 3] RGB."""

    picture: Image
    heads: Image


class Cartoon:
    """The DCT-Net pipeline. Every method may be called from any thread."""

    def __init__(
        self,
        networks: Mapping[str, Backend],
        options: Options,
        detector: Detector | None,
        official_mask: Path | None = None,
    ) -> None:
        """`detector` is None where no faces are wanted; `official_mask` is used where the options name none."""
        self._background, self._head = networks[BACKGROUND.name], networks[HEAD.name]
        self._options = options
        self._detector = detector
        self._area = largest_area(options.memory)
        self._largest = largest_tile([profile[BACKGROUND.inputs[0].name].max for profile in self._background.profiles])
        self._most_heads = max((profile[HEAD.inputs[0].name].max[0] for profile in self._head.profiles), default=MOST)
        mask = Path(options.head_mask) if options.head_mask else official_mask
        self._mask: Mask = read_mask(mask) if mask is not None else soft_ellipse()
        self._masked_by = f"heads blended by {mask}" if mask is not None else None

    @property
    def notes(self) -> tuple[str, ...]:
        """Who finds the faces, and which mask blends the heads if it is not the built-in one."""
        lines = (self._detector.title, self._masked_by) if self._detector else ()
        return tuple(line for line in lines if line is not None)

    @property
    def needed_pixels(self) -> tuple[int, int] | None:
        """The short side that is worked at in `--mode fast`, along both axes; everything in `--mode fine`."""
        return (SHORT_SIDE, SHORT_SIDE) if self._options.mode == "fast" else None

    def prepare(self, picture: Picture, clock: StageClock) -> Prepared:
        """Shrinks to the working size, finds the faces and cuts out their heads."""
        rgb = picture.rgb
        if self._options.mode == "fast":
            with clock.stage("resize"):
                rgb = sizing.shrink(rgb, sizing.working_size(picture.size))
        places = []
        if self._detector:
            with clock.stage("faces"):
                places = [placement(face.points) for face in self._detector.find(rgb)]
        heads = np.empty((len(places), HEAD_SIDE, HEAD_SIDE, 3), np.uint8)
        for head, place in zip(heads, places, strict=True):
            head[:] = head_crop(rgb, place)[..., ::-1]
        return Prepared(picture, rgb, heads, places)

    def run(self, batch: list[Prepared], clock: StageClock) -> list[Drawn]:
        """One background run a picture or tile, one head run for all heads of a picture: pictures differ in size."""
        drawn = []
        for item in batch:
            with clock.stage("background"):
                picture = self._draw(item)
            heads = item.heads
            if len(heads):
                with clock.stage("heads"):
                    heads = np.concatenate([_run(self._head, HEAD, part) for part in _parts(heads, self._most_heads)])
                    heads = heads[..., ::-1]
            drawn.append(Drawn(picture, heads))
        return drawn

    def finish(self, item: Prepared, raw: Drawn, clock: StageClock) -> Image:
        """The result at the picture's own size: uint8 [H, W, 3] RGB, or [H, W, 4] RGBA if the picture has alpha."""
        picture = raw.picture
        with clock.stage("paste"):
            for head, place in zip(raw.heads, item.places, strict=True):
                paste(picture, np.ascontiguousarray(head), self._mask, place)
        alpha = item.picture.alpha
        if picture.shape[:2] != item.picture.size:
            with clock.stage("enlarge"):
                # Cubic: the official pipeline's area interpolation only repeats pixels when it enlarges.
                picture = np.asarray(
                    cv2.resize(picture[..., :3], item.picture.size[::-1], interpolation=cv2.INTER_CUBIC), np.uint8
                )
                if alpha is not None:
                    picture = np.dstack([picture, alpha])
        elif alpha is not None:
            picture[..., 3] = alpha
        return picture

    def _draw(self, item: Prepared) -> Image:
        rgb = item.rgb
        size = (rgb.shape[0], rgb.shape[1])
        padded = sizing.padded_size(size)
        drawn = np.empty((*size, 3 if item.picture.alpha is None else 4), np.uint8)
        tile = tile_shape(padded, self._area, self._largest)
        run_tiled(
            lambda window: _run(self._background, BACKGROUND, window[None])[0, ..., ::-1],
            lambda top, left, shape: sizing.read_bgr(rgb, top, left, shape),
            padded,
            drawn,
            tile,
        )
        if tile != padded:
            self._background.trim()
        return drawn


def _parts(images: Image, most: int) -> list[Image]:
    return [images[start : start + most] for start in range(0, len(images), most)]


def _run(network: Backend, spec: NetworkSpec, images: Image) -> Image:
    """Images in and out of a network of one input and one output."""
    output: Image = network.run({spec.inputs[0].name: images})[spec.outputs[0].name]
    return output
