"""Run in the environment with upstream installed: `python upstream_steps.py INPUTS.npz OUTPUTS.npz`.

The steps between the networks, by the upstream functions, on the test's arrays.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import torch
from face_alignment import utils as alignment
from face_alignment.detection.sfd.bbox import nms
from face_alignment.detection.sfd.detect import batch_detect
from modelscope.models.cv.face_reconstruction import utils
from modelscope.models.cv.face_reconstruction.models import bfm
from modelscope.models.cv.skin_retouching.retinaface.box_utils import decode
from modelscope.models.cv.skin_retouching.retinaface.prior_box import priorbox
from PIL import Image

Face = bfm.ParametricFaceModel


class _Uv:
    """Upstream's renderer as far as the face model uses it: the test's own UV map in place of a rasteriser."""

    def __init__(self, corners, weights):
        self.corners, self.weights = torch.from_numpy(corners), torch.from_numpy(weights)
        self.uv_size = len(corners)
        triangles = utils.generate_triangles(self.uv_size, self.uv_size)
        self.dense_faces = torch.from_numpy(triangles)[None]

    def world2uv(self, attribute):
        return (attribute[:, self.corners] * self.weights[None, ..., None]).sum(dim=3).permute(0, 3, 1, 2)


def _face(given) -> SimpleNamespace:
    """What the face model's methods read from it."""
    face = SimpleNamespace(
        device="cpu",
        face_buf=torch.from_numpy(given["triangles"]),
        point_buf=torch.from_numpy(given["around"]),
        render=_Uv(given["corners"], given["weights"]),
        SH=bfm.SH(),
        init_lit=torch.tensor([0.8, 0, 0, 0, 0, 0, 0, 0, 0]).reshape(1, 1, -1),
        persc_proj=torch.from_numpy(bfm.perspective_projection(1015.0, 112.0)),
        camera_distance=10.0,
    )
    for name in ("to_image", "to_camera", "compute_color_map", "displacement2normal"):
        setattr(face, name, getattr(Face, name).__get__(face))
    return face


def _geometry(given) -> dict[str, np.ndarray]:
    face = _face(given)
    tensors = {name: torch.from_numpy(value) for name, value in given.items()}
    turn = Face.compute_rotation(face, tensors["angles"])
    world = Face.transform(face, tensors["shape"], turn, tensors["place"])
    facing = Face.compute_norm(face, tensors["shape"])
    camera = Face.to_camera(face, world.clone())
    with np.errstate(all="ignore"):
        texture = Face.get_texture_map(face, camera, tensors["picture"].permute(0, 3, 1, 2))
    moved, _ = Face.add_nonlinear_offset(face, tensors["shape"], tensors["deformation"], tensors["uvs"])
    displaced = tensors["displacement"][:, None]
    detailed = Face.displacement2normal(face, displaced, world, facing @ turn)
    colours = Face.compute_color_with_displacement(
        face, tensors["albedo"].permute(0, 3, 1, 2), world, facing @ turn, displaced, tensors["light"]
    )
    return {
        "turn": turn.numpy(),
        "world": world.numpy(),
        "facing": facing.numpy(),
        "projected": Face.to_image(face, camera).numpy(),
        "texture": texture.numpy(),
        "moved": moved.numpy(),
        "detailed": detailed.permute(0, 2, 3, 1).numpy(),
        "colours": colours.permute(0, 2, 3, 1).numpy(),
    }


def _alignment(given) -> dict[str, np.ndarray]:
    image, five, standard = given["image"], given["five"], given["standard"]
    params = {name: given[name] for name in ("W1", "B1", "W2", "B2")}
    upward = five.astype(np.float64).copy()
    upward[:, 1] = image.shape[0] - 1 - upward[:, 1]
    picture = Image.fromarray(image)
    made = {}
    for side in (224, 512):
        scale = 102.0 * side / 224
        _, cut, _, _ = utils.align_img(picture, upward, standard, target_size=side, rescale_factor=scale)
        made[f"cut{side}"] = np.asarray(cut)
    crop, scale, box = utils.align_for_lm(image.astype(float), five, params)
    return made | {"square": crop, "square_scale": np.array(scale), "box": box}


def _detection(given) -> dict[str, np.ndarray]:
    sizes, strides = (56, 28, 14, 11, 6, 3), 0
    maps = []
    for cells in sizes:
        count = cells * cells
        for values in (given["s3fd_scores"], given["s3fd_boxes"]):
            part = torch.from_numpy(values[strides : strides + count]).T
            maps.append(part.reshape(1, -1, cells, cells).contiguous())
        strides += count
    found = batch_detect(lambda _: [one.clone() for one in maps], torch.zeros(1, 3, 224, 224), "cpu")[0]
    boxes = [box for box in found[nms(found, 0.3)] if box[-1] > 0.5]
    x1, y1, x2, y2 = (float(value) for value in boxes[0][:4])
    centre = torch.FloatTensor([x2 - (x2 - x1) / 2.0, y2 - (y2 - y1) / 2.0])
    centre[1] = centre[1] - (y2 - y1) * 0.12
    scale = (x2 - x1 + y2 - y1) / 195
    crop = alignment.crop(given["face_crop"], centre, scale)
    _, points = alignment.get_preds_fromhm(torch.from_numpy(given["heat"])[None], centre, scale)
    priors = priorbox(min_sizes=[[16, 32], [64, 128], [256, 512]], steps=[8, 16, 32], clip=False, image_size=(512, 512))
    decoded = decode(torch.from_numpy(given["retina_boxes"]), priors, [0.1, 0.2])
    return {
        "s3fd_box": np.array([x1, y1, x2, y2]),
        "fan_crop": crop,
        "points": points[0].numpy(),
        "priors": priors.numpy(),
        "retina_decoded": decoded.numpy(),
    }


def main(source: str, target: str) -> None:
    with np.load(source) as held:
        given = dict(held)
    np.savez(target, **_geometry(given), **_alignment(given), **_detection(given))


if __name__ == "__main__":
    main(*sys.argv[1:])
