"""What each model's official snapshot is: its id on the hub, the revision that is meant, the files that are needed."""

from __future__ import annotations

from dataclasses import dataclass

from trtkit.errors import Mistake


@dataclass(frozen=True)
class Official:
    """`model_id` is OWNER/NAME on the hub; `aliases` are ids the same files were cached under before; `files` are the
    paths inside the repository that trtkit reads, everything else in it stays where it is."""

    model_id: str
    revision: str
    files: tuple[str, ...]

    @property
    def aliases(self) -> tuple[str, ...]:
        """`model_id`, then the older owner's: the hub renamed damo/ to iic/."""
        owner, _, name = self.model_id.partition("/")
        return (self.model_id, f"damo/{name}") if owner == "iic" else (self.model_id,)


_CARTOON_FILES = (
    "configuration.json",
    "alpha.jpg",
    "cartoon_bg.pb",
    "cartoon_h.pb",
    "detector.pb",
    "keypoints.pb",
)


def _cartoon(style: str, revision: str = "master") -> Official:
    name = f"cv_unet_person-image-cartoon{'' if style == 'anime' else f'-{style}'}_compound-models"
    return Official(f"iic/{name}", revision, _CARTOON_FILES)


_MATTING = Official("iic/cv_unet_image-matting", "master", ("configuration.json", "tf_graph.pb"))

# The depth network of face_alignment is left out: of its points only x and y are used.
_FACE_FILES = (
    "configuration.json",
    "pytorch_model.pt",
    "large_base_net.pth",
    "retinaface_resnet50_2020-07-20_old_torch.pth",
    "de_retouching_model.pth",
    "segment_face.pb",
    "face_alignment/s3fd-619a316812.pth",
    "face_alignment/3DFAN4-4a694010b9.zip",
    "assets/BFM_model_front.mat",
    "assets/bfm_uvs2.npy",
    "assets/bfm_tex_mean2.npy",
    "assets/bfm_texmap_base2.npy",
    "assets/template_bfm.obj",
    "assets/similarity_Lm3D_all.mat",
    "assets/BBRegressorParam_r.mat",
)

# Older revisions of this repository hold another model, and the hub's default is not the HRN one.
_FACE = Official("iic/cv_resnet50_face-reconstruction", "v2.0.0-HRN", _FACE_FILES)

_STYLES = ("anime", "3d", "handdrawn", "sketch", "artstyle", "sd-design", "sd-illustration")

_KNOWN: dict[str, dict[str, Official]] = {
    "cv_unet": {"": _MATTING},
    "dct_net": {style: _cartoon(style, "v1.0.0" if style.startswith("sd-") else "master") for style in _STYLES},
    "hrn": {"": _FACE},
}
"""Model → style → snapshot; a model without styles has the style ''. The first style is the default."""


def is_meant(wanted: Official) -> bool:
    """Whether `wanted` is the revision that trtkit is made for."""
    return any(wanted == known for styles in _KNOWN.values() for known in styles.values())


def official(model: str, style: str | None = None) -> Official:
    """The snapshot of `model`. Raises Mistake for a model without one, or a style it does not have."""
    if model not in _KNOWN:
        raise Mistake(f"model '{model}' has no official snapshot; models that have: {', '.join(_KNOWN)}")
    styles = _KNOWN[model]
    if style is None:
        return next(iter(styles.values()))
    if style not in styles:
        have = ", ".join(name for name in styles if name)
        right = f"its styles: {have}" if have else "it has no styles, leave the option out"
        raise Mistake(f"--style {style} is not known for {model}; {right}")
    return styles[style]
