import pytest
import torch
from safetensors.torch import save_file

from trtkit.models.cv_unet.network import MattingUNet, UNetConfig


@pytest.fixture(scope="session")
def small_unet() -> MattingUNet:
    """A matting U-Net of a few channels whose random alpha really varies over a photograph."""
    torch.manual_seed(3)
    unet = MattingUNet(UNetConfig(width=4, depth=2, cap=8, norm=False)).eval()
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.mul_(2.8)
    return unet


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, small_unet):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(small_unet.state_dict(), path)
    return path
