"""Run in the environment with upstream installed: `python upstream_outputs.py OUT_FOLDER NETWORK…`.

Writes NETWORK.npz: the outputs of the upstream class on random weights and inputs by name, and its tensors' names.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from random_weights import random_input, random_state

_CV = "modelscope.models.cv."


def _without_vision_ops() -> None:
    """torchvision's compiled operators do not load beside a CPU torch; declaring them is enough to import it."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    library.define("qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    library.define("roi_align(Tensor i, Tensor r, float s, int h, int w, int n, bool a) -> Tensor")
    globals()["_kept"] = library


def _class(module: str, name: str):
    return getattr(__import__(_CV + module, fromlist=[name]), name)


def _net_recon():
    define = _class("face_reconstruction.models.networks", "define_net_recon")
    return define("resnet50", use_last_fc=False, init_path=None), (2, 3, 224, 224), 0.0, 1.0


def _pix2pix(inputs: int, outputs: int, side: int):
    model = _class("face_reconstruction.models.pix2pix.pix2pix_model", "Pix2PixModel")
    options = _class("face_reconstruction.models.pix2pix.pix2pix_options", "Pix2PixOptions")()
    options.input_nc, options.output_nc, options.name = inputs, outputs, "net"
    return model(options).netG, (1, inputs, side, side), -1.0, 1.0


def _de_retouch():
    return _class("face_reconstruction.models.unet", "UNet")(3, 3), (1, 3, 128, 128), -1.0, 1.0


def _landmarks():
    nets = "face_reconstruction.models.facelandmark.nets.large_base_lmks_net"
    return _class(nets, "LargeBaseLmksNet")(infer=False), (2, 3, 224, 224), -0.5, 0.6


def _retinaface():
    _without_vision_ops()
    kind = _class("skin_retouching.retinaface.network", "RetinaFace")
    layers = {"layer2": 1, "layer3": 2, "layer4": 3}
    net = kind(name="Resnet50", pretrained=False, return_layers=layers, in_channels=256, out_channels=256)
    return net, (1, 3, 256, 256), -2.0, 2.0


def _s3fd():
    from face_alignment.detection.sfd.net_s3fd import s3fd

    return s3fd(), (1, 3, 224, 224), -123.0, 151.0


def _fan():
    from face_alignment.models import FAN

    return FAN(4), (1, 3, 256, 256), 0.0, 1.0


NETWORKS = {
    "net_recon": _net_recon,
    "mid_net": lambda: _pix2pix(6, 3, 64),
    "high_net": lambda: _pix2pix(9, 1, 64),
    "de_retouch": _de_retouch,
    "landmarks106": _landmarks,
    "retinaface": _retinaface,
    "s3fd": _s3fd,
    "fan": _fan,
}


def _as_stated(name: str, outputs) -> list[torch.Tensor]:
    """Upstream's outputs in the order and form of trtkit's statement."""
    if name == "fan":
        return [outputs[-1]]
    if name == "s3fd":
        scores, boxes = outputs[0::2], outputs[1::2]
        return [torch.cat([level.flatten(2) for level in group], 2).transpose(1, 2) for group in (boxes, scores)]
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def main(folder: Path, names: list[str]) -> None:
    for name in names:
        net, shape, low, high = NETWORKS[name]()
        net.eval()
        state = random_state(net.state_dict())
        net.load_state_dict(state, strict=True)
        with torch.inference_mode():
            outputs = _as_stated(name, net(random_input(name, shape, low, high)))
        arrays = {f"output{index}": output.numpy() for index, output in enumerate(outputs)}
        np.savez(folder / f"{name}.npz", input=[*shape, low, high], keys=sorted(state), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
