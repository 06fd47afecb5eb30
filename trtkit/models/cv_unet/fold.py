"""Batch norm folded into the convolution before it: the form in which the matting U-Net is shipped."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trtkit.models.cv_unet.network import MattingUNet


def fold(trained: MattingUNet) -> MattingUNet:
    """A `norm=False` network, in eval mode, that computes what `trained` (`norm=True`) computes in eval mode."""
    folded = MattingUNet(replace(trained.config, norm=False)).eval()
    trained.eval()
    for before, after in (*zip(trained.encoder, folded.encoder, strict=True),
                          *zip(trained.decoder, folded.decoder, strict=True)):  # fmt: skip
        layers = list(before.children())
        fused = [
            fuse_conv_bn_eval(conv, norm)
            for conv, norm in pairwise(layers)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        ]
        bare = [layer for layer in after.children() if isinstance(layer, nn.Conv2d)]
        for source, target in zip(fused, bare, strict=True):
            target.load_state_dict(source.state_dict())
    folded.head.load_state_dict(trained.head.state_dict())
    return folded
