"""What a camera and a file do to a scene: exposure, cast, blur, noise, grey, JPEG, eight bits."""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from training.cv_unet.fields import Sheet
from training.cv_unet.scenes import blur


def shoot(image: Tensor) -> Tensor:
    """[B, 3, S, S] in 0..1 → the same scene as a photograph, in 0..1 at eight bits; geometry is unchanged."""
    sheet = Sheet(image.shape[0], image.shape[-1], image.device)
    image = image.clamp(1e-4, 1) ** torch.exp(sheet.normal(0.25).clamp(-0.6, 0.6))
    contrast = (1 + sheet.normal(0.18)).clamp(0.5, 1.6)
    image = (image - 0.5) * contrast + 0.5 + sheet.normal(0.06)
    image = image * (1 + sheet.normal(0.06, 3))
    grey = image.mean(1, keepdim=True)
    image = grey + (image - grey) * torch.where(sheet.chance(0.07) > 0, 0.0, sheet.between(0.6, 1.35))
    corner = (sheet.x - 0.5) ** 2 + (sheet.y - 0.5) ** 2
    image = image * (1 - corner * sheet.between(0, 0.9) * sheet.chance(0.3))
    if random.random() < 0.3:
        image = blur(image, random.uniform(0.4, 1.4) * sheet.size / 512 + 0.1)
    if random.random() < 0.2:  # sharpened in the camera, with its halos
        image = image + (image - blur(image, 1.2)) * sheet.between(0, 1.2)
    image = image + torch.randn_like(image) * sheet.between(0, 1) ** 2 * 0.07
    image = image + torch.randn_like(image[:, :1]) * sheet.between(0, 1) ** 2 * 0.05
    image = image.clamp(0, 1)
    if random.random() < 0.5 and sheet.size % 8 == 0:
        image = torch.where(sheet.chance(0.7) > 0, jpeg(image, sheet.between(0.02, 1) ** 2), image)
    return (image.clamp(0, 1) * 255).round() / 255


_STEPS = [
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
]  # fmt: skip


def jpeg(image: Tensor, coarse: Tensor) -> Tensor:
    """JPEG's loss: cosine coefficients of 8×8 blocks rounded to the standard's steps times `coarse` [B, 1, 1, 1].

    `image` [B, 3, S, S] in 0..1, S a multiple of 8. Colour differences get twice the steps.
    """
    device = image.device
    k = torch.arange(8, device=device, dtype=torch.float32)
    basis = torch.cos((2 * k + 1).view(1, 8) * k.view(8, 1) * math.pi / 16) * 0.5
    basis[0] *= math.sqrt(0.5)
    to_ycc = torch.tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], device=device)
    batch, channels, height, width = image.shape
    ycc = torch.einsum("ij,bjhw->bihw", to_ycc, image * 255) - torch.tensor([128.0, 0, 0], device=device).view(
        1, 3, 1, 1
    )
    blocks = ycc.reshape(batch, channels, height // 8, 8, width // 8, 8).permute(0, 1, 2, 4, 3, 5)
    steps = torch.tensor(_STEPS, device=device, dtype=torch.float32) * coarse.view(batch, 1, 1, 1, 1, 1)
    steps = steps * torch.tensor([1.0, 2, 2], device=device).view(1, 3, 1, 1, 1, 1) + 1
    rounded = ((basis @ blocks @ basis.T) / steps).round() * steps
    ycc = (basis.T @ rounded @ basis).permute(0, 1, 2, 4, 3, 5).reshape(image.shape)
    ycc = ycc + torch.tensor([128.0, 0, 0], device=device).view(1, 3, 1, 1)
    return (torch.einsum("ij,bjhw->bihw", torch.linalg.inv(to_ycc), ycc) / 255).clamp(0, 1)
