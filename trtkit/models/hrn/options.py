"""What a user may ask of the HRN pipeline, and which networks each answer takes."""

from __future__ import annotations

from dataclasses import dataclass

from trtkit.errors import Mistake
from trtkit.models.hrn import specs

_FIND = (specs.RETINAFACE, specs.LANDMARKS, specs.S3FD, specs.FAN, specs.RECON)
NEEDED = {
    "coeffs": _FIND,
    "uv": (*_FIND, specs.MID_NET),
    "mesh": (*_FIND, specs.MID_NET),
    "all": (*_FIND, specs.MID_NET, specs.DE_RETOUCH, specs.HIGH_NET),
}
"""--output → its networks. mid_net moves the vertices, and with them where the texture is taken; the last two give
the detail maps and the albedo alone."""


@dataclass(frozen=True)
class Options:
    """`output`: 'coeffs' the 257 numbers; 'uv' the texture; 'mesh' OBJ, GLB, texture and preview; 'all' these and the
    maps of normals, albedo and shading. `all_faces`: every face of the picture, not only the surest. `assets`: the
    folder of the face model's files, where they do not lie beside the weights."""

    output: str = "mesh"
    all_faces: bool = False
    assets: str | None = None

    def __post_init__(self) -> None:
        """Raises Mistake, naming the option."""
        if self.output not in NEEDED:
            raise Mistake(f"--output {self.output} is not known; right would be one of {', '.join(NEEDED)}")

    @property
    def writes_meshes(self) -> bool:
        return self.output in ("mesh", "all")

    @property
    def skipped(self) -> tuple[str, ...]:
        """The networks that this output does without."""
        used = {spec.name for spec in NEEDED[self.output]}
        return tuple(spec.name for spec in specs.NETWORKS if spec.name not in used)
