"""Folding and unfolding change the form of the network, not what it computes."""

import pytest
import torch
from torch import nn

from training.cv_unet.unfold import unfold
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


def test_unfolded_network_computes_the_same_in_training_mode_too():
    torch.manual_seed(0)
    shipped = MattingUNet(UNetConfig(width=4, depth=3, cap=8)).eval()
    for module in shipped.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.bias)
    pictures = torch.rand(8, 3, 48, 64) * 2 - 1
    unfolded = unfold(shipped, [pictures[:4], pictures[4:]])
    norms = [module for module in unfolded.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 14
    with torch.no_grad():
        expected = shipped(pictures)
        assert (unfolded.eval()(pictures) - expected).abs().max() < 1e-5
        assert (fold(unfolded)(pictures) - expected).abs().max() < 1e-5
        # A norm in training takes the batch's own statistics: those it was given, on these very pictures.
        assert (unfolded.train()(pictures) - expected).abs().max() < 1e-3


def test_unfolding_needs_pictures():
    with pytest.raises(ValueError, match="needs a picture"):
        unfold(MattingUNet(UNetConfig(width=4, depth=3, cap=8)), [])
