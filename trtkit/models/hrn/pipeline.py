"""Portrait → faces: located, aligned, reconstructed and, where the output needs it, refined.

The texture is what the picture shows. The official pipeline then fits it by a hundred steps through a renderer that is
licensed for research alone; that step is not done.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trtkit.errors import CheckFailed, Mistake, TrtkitError
from trtkit.models.hrn import mask, reconstruct
from trtkit.models.hrn.aligned import align
from trtkit.models.hrn.assets import Assets
from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.faces import Faces
from trtkit.models.hrn.geometry import uv_map
from trtkit.models.hrn.mask import Masks
from trtkit.models.hrn.networks_run import Networks
from trtkit.models.hrn.options import Options
from trtkit.models.hrn.output import files
from trtkit.models.hrn.reconstruct import Base, Deformed, Detail
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import Files, StageClock
from trtkit.runtime.backend import Backend

Image = NDArray[np.uint8]
SAMPLED = (
    "texture: sampled from the picture; the official pipeline's 100 steps of fitting need a renderer licensed for "
    "research alone and are not done"
)
UNMASKED = f"face mask: none, all of the crop counts; {mask.GRAPH.without}"
MASKED = f"face mask: {mask.GRAPH.file_name}, imported"
SYNTHETIC = (
    "SYNTHETIC face model, made by trtkit and measured on nobody: good for drawn faces only, the result resembles no "
    "person; for photographs of people: trtkit pull hrn"
)


class FaceReconstruction:
    """The HRN pipeline on loaded networks. Every method may be called from any thread."""

    def __init__(
        self,
        networks: Mapping[str, Backend],
        assets: Assets,
        options: Options,
        cache: Path | None = None,
        masks: Masks | None = None,
    ) -> None:
        """`cache`: where the UV map is kept; `masks`: the face's skin in crops, all of a crop without it."""
        self._networks = Networks(networks)
        self._assets = assets
        self._options = options
        self._masks = masks
        self._uv = uv_map.cached(assets.model.uvs, assets.model.uv_triangles, cache)

    needed_pixels = None
    """All of them: how large the face is in the picture is not known before it is decoded."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is skipped, what the texture is, what is masked, and whether the face model is a made-up one."""
        output, skipped = self._options.output, self._options.skipped
        lines = [f"--output {output}: does without {', '.join(skipped)}"] if skipped else []
        if output != "coeffs":
            lines += [SAMPLED, UNMASKED if self._masks is None else MASKED]
        if self._assets.model.synthetic:
            lines.append(SYNTHETIC)
        return tuple(lines)

    def prepare(self, picture: Picture, clock: StageClock) -> Picture:
        """Nothing: every step stands between two networks."""
        return picture

    def run(self, batch: list[Picture], clock: StageClock) -> list[Faces | TrtkitError]:
        """The faces of each picture, one picture after the other, or why it has none that can be reconstructed."""
        found: list[Faces | TrtkitError] = []
        for picture in batch:
            try:
                found.append(self.reconstruct(picture, clock))
            except (Mistake, CheckFailed) as error:
                found.append(error)
        return found

    def finish(self, item: Picture, raw: Faces | TrtkitError, clock: StageClock) -> Files:
        """The files of --output. Raises what `run` met with this picture."""
        if isinstance(raw, TrtkitError):
            raise raw

        def make(stem: str) -> dict[str, bytes]:
            with clock.stage("files"):
                return files.contents(raw, self._assets.model, self._options.output, stem)

        return Files(make, _left_out(raw))

    def reconstruct(self, picture: Picture, clock: StageClock) -> Faces:
        """Raises Mistake, naming the picture, where no face is found or none can be aligned, and CheckFailed where
        what a network gives is not finite."""
        try:
            return self._reconstruct(picture, clock)
        except CheckFailed as error:
            raise CheckFailed(f"{picture.source}: {error}") from error

    def _reconstruct(self, picture: Picture, clock: StageClock) -> Faces:
        assets, every = self._assets, self._options.all_faces
        found = align(self._networks, assets.box, assets.standard, picture, every, clock)
        masks = self._mask(found.small, clock)
        with clock.stage("reconstruct"):
            vector = reconstruct.coefficients(self._networks, found.small)
        base, mid, fine = self._shape(vector, found.sharp, masks, clock)
        return Faces(
            boxes=found.boxes,
            points=found.points,
            frames=found.frames,
            vector=vector,
            base=base,
            mid=mid,
            detail=fine,
            left_out=found.left_out,
        )

    def _mask(self, small: Image, clock: StageClock) -> Floats:
        if self._masks is None or self._options.output == "coeffs":
            return mask.everything(small)
        with clock.stage("mask"):
            return self._masks(small)

    def _shape(
        self, vector: Floats, sharp: Image, masks: Floats, clock: StageClock
    ) -> tuple[Base | None, Deformed | None, Detail | None]:
        if self._options.output == "coeffs":
            return None, None, None
        model = self._assets.model
        with clock.stage("texture"):
            base = reconstruct.base(vector, model, self._uv, sharp, masks)
        with clock.stage("deform"):
            mid = reconstruct.deform(self._networks, base, model, self._uv, sharp)
        if self._options.output != "all":
            return base, mid, None
        with clock.stage("albedo"):
            skin = reconstruct.albedo(self._networks, base, model)
        with clock.stage("detail"):
            return base, mid, reconstruct.detail(self._networks, base, mid, skin, self._uv)


def _left_out(faces: Faces) -> tuple[str, ...]:
    if not faces.left_out:
        return ()
    found = faces.left_out + len(faces.vector)
    return (
        f"{faces.left_out} of {found} faces left out: their landmarks are not to be seen, so they cannot be aligned",
    )
