"""Aligned crops → faces: coefficients, shape and texture, the deformation on top, and the maps of its detail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn import specs
from trtkit.models.hrn.coefficients import Coefficients, Floats, split
from trtkit.models.hrn.geometry import face_model, light, normals, pose, refine
from trtkit.models.hrn.geometry.face_model import FaceModel
from trtkit.models.hrn.geometry.resize import bilinear
from trtkit.models.hrn.geometry.texture import texture_map
from trtkit.models.hrn.geometry.uv_map import UvMap, world_to_uv
from trtkit.models.hrn.networks_run import Networks

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Base:
    """The coarse faces: `shape` [N, V, 3] before pose, `turn` [N, 3, 3], `offset` [N, 3], `texture` [N, 256, 256, 3]
    RGB in 0..1 as the picture shows it, `valid` [N, 256, 256] where that is skin, `position` [N, 256, 256, 3]."""

    coefficients: Coefficients
    shape: Floats
    turn: Floats
    offset: Floats
    position: Floats
    texture: Floats
    valid: Floats

    def posed(self, shape: Floats) -> Floats:
        """Vertices before pose → the world."""
        return pose.place(shape, self.turn, self.offset)


@dataclass(frozen=True)
class Deformed:
    """The faces after mid_net: `shape` [N, V, 3] before pose, `world` [N, V, 3], `facing` [N, V, 3] the posed normals,
    `texture` [N, 256, 256, 3] taken anew, `map` [N, 64, 64, 3] the deformation."""

    shape: Floats
    world: Floats
    facing: Floats
    texture: Floats
    map: Floats


@dataclass(frozen=True)
class Detail:
    """UV pictures [N, 256, 256, …]: `displacement` along the normal, `normals`, `albedo` without beauty filters,
    `shaded` colours, RGB about 0..1."""

    displacement: Floats
    normals: Floats
    albedo: Floats
    shaded: Floats


def coefficients(networks: Networks, crops: Images) -> Floats:
    """RGB crops uint8 [N, 224, 224, 3] → [N, 257]."""
    return np.asarray(networks.first(specs.RECON, crops), np.float32)


def base(vector: Floats, model: FaceModel, uv: UvMap, crops: Images, masks: Floats) -> Base:
    """Coefficients [N, 257] on a model, with sharp crops uint8 [N, 512, 512, 3] and masks [N, 224, 224] of the skin."""
    parts = split(vector)
    shape = face_model.shape(model, parts.identity, parts.expression)
    turn = pose.rotation(parts.angles)
    camera = pose.flip_depth(pose.place(shape, turn, parts.place))
    return Base(
        coefficients=parts,
        shape=shape,
        turn=turn,
        offset=parts.place,
        position=world_to_uv(shape, uv),
        texture=texture_map(camera, _unit(crops), uv),
        valid=refine.smooth_mask(texture_map(camera, masks[..., None], uv)[..., 0]),
    )


def deform(networks: Networks, face: Base, model: FaceModel, uv: UvMap, crops: Images) -> Deformed:
    """mid_net's deformation where the skin is seen, normals and texture anew."""
    small = (specs.MID, specs.MID)
    maps = np.concatenate([bilinear(face.position, small), bilinear(face.texture * 2 - 1, small)], axis=-1)
    moved = _channels_last(networks.first(specs.MID_NET, _channels_first(maps)))
    moved = moved * bilinear(face.valid[..., None], small)
    shape = face.shape + refine.offsets(moved, model.uvs)
    world = face.posed(shape)
    return Deformed(
        shape=shape,
        world=world,
        facing=normals.of_vertices(shape, model) @ face.turn,
        texture=texture_map(pose.flip_depth(world), _unit(crops), uv),
        map=moved,
    )


def albedo(networks: Networks, face: Base, model: FaceModel) -> Floats:
    """The model's albedo with what a beauty filter took from the picture put back, [N, 256, 256, 3]."""
    side, wide = face.texture.shape[1:3], (specs.TEXTURE, specs.TEXTURE)
    seen = bilinear(face.texture * 2 - 1, wide)
    layer = _channels_last(networks.first(specs.DE_RETOUCH, _channels_first(seen)))
    plain = bilinear(face_model.albedo_map(model, face.coefficients.albedo), side)
    return refine.without_retouch(plain, face.texture, bilinear(layer, side))


def detail(networks: Networks, face: Base, mid: Deformed, skin: Floats, uv: UvMap) -> Detail:
    """high_net's displacement, the normals it makes, and the albedo `skin` in the face's light."""
    side = face.position.shape[1:3]
    maps = np.concatenate([face.position, mid.texture * 2 - 1, bilinear(mid.map, side)], axis=-1)
    displaced = networks.first(specs.HIGH_NET, _channels_first(maps))[:, 0] * face.valid
    facing = normals.detailed(world_to_uv(mid.world, uv), world_to_uv(mid.facing, uv), displaced)
    return Detail(displaced, facing, skin, light.shade(skin, facing, face.coefficients.light))


def _unit(images: Images) -> Floats:
    return np.asarray(images / np.float32(255), np.float32)


def _channels_first(maps: Floats) -> Floats:
    return np.ascontiguousarray(maps.transpose(0, 3, 1, 2), np.float32)


def _channels_last(maps: np.ndarray) -> Floats:
    return np.asarray(maps.transpose(0, 2, 3, 1), np.float32)
