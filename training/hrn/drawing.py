"""Batches of synthetic faces drawn by torch, on any device: the pictures of synthetic/portrait.py, many at once.

The UV square is sampled densely enough that its points, splatted with a depth buffer, leave no hole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trtkit.models.hrn.geometry import light as light_np
from trtkit.models.hrn.geometry import pose as pose_np
from trtkit.models.hrn.geometry.uv_map import rasterize
from trtkit.models.hrn.synthetic import landmarks106
from trtkit.models.hrn.synthetic.files import face_model

SIDE = 256
"""Of a patch: the frame of 224 units on 256 pixels."""
_DENSE = 448


@dataclass
class Patches:
    """`rgba` uint8 [N, 4, 256, 256]; in pixels of the patch, y downward: `points68` [N, 68, 2], `points106`
    [N, 106, 2], `box` [N, 4] around the whole face; `vector` [N, 257]."""

    rgba: Tensor
    points68: Tensor
    points106: Tensor
    box: Tensor
    vector: Tensor

    def put(self, at: Tensor, other: Patches) -> None:
        for name in ("rgba", "points68", "points106", "box", "vector"):
            getattr(self, name)[at] = getattr(other, name)


class Drawer:
    """The synthetic face model on one device."""

    def __init__(self, device: torch.device | str) -> None:
        model = face_model()
        self.device = torch.device(device)

        def put(array: np.ndarray, kind: torch.dtype = torch.float32) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array)).to(self.device, kind)

        self.mean, self.identity, self.expression = put(model.mean), put(model.identity), put(model.expression)
        self.triangles, self.around = put(model.triangles, torch.long), put(model.around, torch.long)
        self.landmarks = put(model.landmarks, torch.long)
        self.points106 = put(landmarks106.vertices(), torch.long)
        self.albedo_mean, self.albedo = put(model.albedo_mean), put(model.albedo)
        self.texture_side = round((model.albedo_mean.size / 3) ** 0.5)
        dense = rasterize(model.uvs, model.uv_triangles, _DENSE)
        inside = dense.covered.reshape(-1)
        self.corners = put(dense.corners.reshape(-1, 3)[inside], torch.long)
        self.weights = put(dense.weights.reshape(-1, 3)[inside])
        row, column = np.divmod(np.flatnonzero(inside), _DENSE)
        self.grid = put(np.stack([(column + 0.5) / _DENSE, (row + 0.5) / _DENSE], axis=1) * 2 - 1)

    def random(self, count: int, spread: float = 1.0) -> Tensor:
        """[N, 257], wider than portrait.random_face: turned up to 40 degrees, lit unevenly, skin of any tone."""

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, device=self.device)

        wide = 1 + 0.3 * normal(count, 1).abs()
        angles = (0.24 * spread * normal(count, 3)).clamp(-0.7, 0.7)
        lights = 0.07 * normal(count, 1, 9) + 0.025 * normal(count, 3, 9)
        place = normal(count, 3) * torch.tensor([0.05, 0.05, 0.2], device=self.device)
        albedo = normal(count, 80) * (1 + torch.rand(count, 1, device=self.device))
        parts = (normal(count, 144) * wide, albedo, angles, lights.reshape(count, 27), place)
        return torch.cat(parts, dim=1)

    def shape(self, vector: Tensor) -> Tensor:
        """[N, V, 3] before pose."""
        flat = self.mean + vector[:, :80] @ self.identity.T + vector[:, 80:144] @ self.expression.T
        return flat.reshape(len(vector), -1, 3)

    def turned(self, shape: Tensor, vector: Tensor) -> Tensor:
        return shape @ rotation(vector[:, 224:227])

    def normals(self, shape: Tensor) -> Tensor:
        a, b, c = (shape[:, self.triangles[:, k]] for k in range(3))
        faces = F.normalize(torch.cross(a - b, b - c, dim=-1), dim=-1)
        faces = torch.cat([faces, torch.zeros_like(faces[:, :1])], dim=1)
        return F.normalize(faces[:, self.around].sum(dim=2), dim=-1)

    def dense(self, attribute: Tensor) -> Tensor:
        """[N, V, C] → [N, P, C] at the dense points."""
        return sum(attribute[:, self.corners[:, k]] * self.weights[:, k, None] for k in range(3))

    def colours(self, vector: Tensor, normals: Tensor) -> Tensor:
        """[N, P, 3] in 0..1 at the dense points, given their world normals [N, P, 3]."""
        side = self.texture_side
        flat = (self.albedo_mean + vector[:, 144:224] @ self.albedo.T) / 255
        maps = flat.reshape(-1, side, side, 3).permute(0, 3, 1, 2)
        grid = self.grid[None, None].expand(len(vector), 1, -1, 2)
        albedo = F.grid_sample(maps, grid, padding_mode="border", align_corners=False)[:, :, 0].transpose(1, 2)
        lights = vector[:, 227:254].reshape(-1, 3, 9).clone()
        lights[..., 0] += light_np.AMBIENT
        return (albedo * torch.einsum("nph,nch->npc", harmonics(normals), lights)).clamp(0, 1)

    @torch.no_grad()
    def draw(self, vector: Tensor, shape: Tensor | None = None) -> Patches:
        """The faces of `vector` [N, 257], with vertices `shape` [N, V, 3] in place of its own."""
        shape = self.shape(vector) if shape is None else shape
        world = self.turned(shape, vector) + vector[:, None, 254:257]
        facing = F.normalize(self.dense(self.normals(shape) @ rotation(vector[:, 224:227])), dim=-1)
        flat = project(world) * (SIDE / 224)
        dense = self.dense(world)
        points, depth = project(dense) * (SIDE / 224), pose_np.DISTANCE - dense[..., 2]
        rgba = self._splat(points, depth, self.colours(vector, facing))
        box = torch.cat([flat.amin(1), flat.amax(1)], dim=1)
        return Patches(rgba, flat[:, self.landmarks], flat[:, self.points106], box, vector)

    def _splat(self, points: Tensor, depth: Tensor, colours: Tensor) -> Tensor:
        count, many = depth.shape
        x, y = points[..., 0].round().long(), points[..., 1].round().long()
        seen = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)
        cell = torch.where(seen, y * SIDE + x, SIDE * SIDE)
        number = torch.arange(many, device=depth.device)
        key = (depth * 65536).long() * (1 << 20) + number
        far = torch.full((count, SIDE * SIDE + 1), 1 << 60, device=depth.device)
        front = far.scatter_reduce(1, cell, key, "amin")[:, :-1]
        hit = front < (1 << 60)
        index = (front & ((1 << 20) - 1)) * hit
        picked = colours.gather(1, index[..., None].expand(-1, -1, 3)) * hit[..., None]
        flat = torch.cat([picked, hit[..., None].float()], dim=-1)
        maps = flat.reshape(count, SIDE, SIDE, 4).permute(0, 3, 1, 2)
        around = F.avg_pool2d(maps, 3, 1, 1)
        filled = torch.where(around[:, 3:] > 0.5, around / around[:, 3:].clamp_min(1e-3), torch.zeros_like(around))
        maps = torch.where(maps[:, 3:] > 0, maps, filled)
        return (maps * 255 + 0.5).clamp(0, 255).byte()


def rotation(angles: Tensor) -> Tensor:
    """As geometry.pose.rotation."""
    (sx, sy, sz), (cx, cy, cz) = angles.sin().unbind(1), angles.cos().unbind(1)
    zero, one = torch.zeros_like(sx), torch.ones_like(sx)

    def matrices(*entries: Tensor) -> Tensor:
        return torch.stack(entries, dim=-1).reshape(-1, 3, 3)

    about_x = matrices(one, zero, zero, zero, cx, -sx, zero, sx, cx)
    about_y = matrices(cy, zero, sy, zero, one, zero, -sy, zero, cy)
    about_z = matrices(cz, -sz, zero, sz, cz, zero, zero, zero, one)
    return (about_z @ about_y @ about_x).transpose(1, 2)


def project(world: Tensor) -> Tensor:
    """World [..., 3] → pixels of the 224 frame, y downward."""
    depth = pose_np.DISTANCE - world[..., 2:]
    flat = pose_np.FOCAL * world[..., :2] / depth + pose_np.CENTRE
    return torch.stack([flat[..., 0], 223 - flat[..., 1]], dim=-1)


def harmonics(normals: Tensor) -> Tensor:
    """As geometry.light.harmonics."""
    x, y, z = normals.unbind(-1)
    b0, b1, b2 = light_np.BAND0, light_np.BAND1, light_np.BAND2
    bands = [
        torch.full_like(x, b0),
        -b1 * y,
        b1 * z,
        -b1 * x,
        b2 * x * y,
        -b2 * y * z,
        0.5 * b2 / 3**0.5 * (3 * z * z - 1),
        -b2 * x * z,
        0.5 * b2 * (x * x - y * y),
    ]
    return torch.stack(bands, dim=-1)
