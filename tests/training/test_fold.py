"""Folding changes the form of the network, not what it computes."""

import torch
from torch import nn

from trtkit.models.cv_unet.fold import fold
from trtkit.models.cv_unet.network import MattingUNet, UNetConfig


def test_folded_network_computes_the_same():
    torch.manual_seed(0)
    trained = MattingUNet(UNetConfig(width=4, depth=3, cap=8, norm=True))
    for module in trained.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.2, 3)
    folded = fold(trained)
    picture = torch.rand(2, 3, 40, 56) * 2 - 1
    with torch.no_grad():
        assert (folded(picture) - trained.eval()(picture)).abs().max() < 1e-5
    assert folded.state_dict().keys() == MattingUNet(folded.config).state_dict().keys()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
