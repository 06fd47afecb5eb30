"""Files as the official snapshot lays them out, read strictly into the networks."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.models.hrn.random_weights import random_state
from trtkit.errors import Mistake
from trtkit.models.hrn import checkpoint
from trtkit.models.hrn.networks.deretouch import DeRetouchNet
from trtkit.models.hrn.networks.fan import FAN
from trtkit.models.hrn.networks.landmarks106 import Landmarks106
from trtkit.models.hrn.networks.pix2pix import ResidualGenerator
from trtkit.models.hrn.networks.recon import CoefficientNet, ImageCoefficients
from trtkit.models.hrn.networks.retinaface import RetinaFace
from trtkit.models.hrn.networks.s3fd import S3FD
from trtkit.models.hrn.networks.source import load_source
from trtkit.models.hrn.specs import NETWORKS


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    """The official files of narrow networks."""
    folder = tmp_path_factory.mktemp("snapshot")
    (folder / "face_alignment").mkdir()

    def state(module):
        return random_state(module.state_dict())

    main = {
        "net_recon": state(CoefficientNet(4)),
        "mid_net": state(ResidualGenerator(6, 3, 4)),
        "high_net": state(ResidualGenerator(9, 1, 4)),
        "alpha": torch.tensor([0.5]),
        "beta": torch.tensor([0.25]),
        "sched_00": {"last_epoch": 3},
    }
    torch.save(main, folder / "pytorch_model.pt")
    torch.save({"generator": state(DeRetouchNet(4))}, folder / "de_retouching_model.pth")
    landmarks = {f"module.{name}": tensor for name, tensor in state(Landmarks106(8)).items()}
    torch.save({"state_dict": landmarks, "epoch": 7}, folder / "large_base_net.pth")
    torch.save(state(RetinaFace(4)), folder / "retinaface_resnet50_2020-07-20_old_torch.pth")
    torch.save(state(S3FD(4)), folder / "face_alignment" / "s3fd-619a316812.pth")
    fan = FAN(4, 16).eval()
    fan.load_state_dict(state(fan))
    traced = torch.jit.trace(fan, torch.zeros(1, 3, 256, 256))
    traced.save(folder / "face_alignment" / "3DFAN4-4a694010b9.zip")
    return folder


@pytest.mark.parametrize("spec", NETWORKS, ids=lambda spec: spec.name)
def test_official_layout_loads_strictly_and_gives_what_the_spec_states(spec, snapshot):
    module = load_source(spec.name, snapshot)
    assert not module.training
    entry = spec.inputs[0]
    image = torch.zeros((1, *entry.shape[1:]), dtype=getattr(torch, entry.dtype))
    with torch.inference_mode():
        outputs = module(image)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert [tuple(output.shape[1:]) for output in outputs] == [tensor.shape[1:] for tensor in spec.outputs]


def test_archive_of_a_script_gives_the_same_network(snapshot):
    module = load_source("fan", snapshot)
    wanted = random_state(module.state_dict())
    assert all(torch.equal(tensor, wanted[name].to(tensor.dtype)) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("stacks", [1, 3])
def test_stacks_of_fan_are_read_off_its_file(stacks, tmp_path):
    save_file(random_state(FAN(stacks, 16).state_dict()), tmp_path / "fan.safetensors")
    assert load_source("fan", tmp_path).stacks == stacks


def test_exported_form_of_net_recon_is_the_network_on_bytes():
    net = CoefficientNet(4).eval()
    net.load_state_dict(random_state(net.state_dict()))
    image = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        wanted = net(image.permute(0, 3, 1, 2) / 255)
        torch.testing.assert_close(ImageCoefficients(net).eval()(image), wanted, atol=1e-5, rtol=1e-5)


def test_learned_gain_scales_the_output(snapshot):
    module = load_source("mid_net", snapshot)
    maps = torch.randn(1, 6, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(module(maps), module.net(maps) * 0.05)


def _broken(snapshot, tmp_path, change):
    held = torch.load(snapshot / "pytorch_model.pt", weights_only=True)
    change(held)
    torch.save(held, tmp_path / "pytorch_model.pt")
    return tmp_path


@pytest.mark.parametrize(
    ("network", "change", "sentence"),
    [
        (
            "net_recon",
            lambda held: held["net_recon"].pop("final_layers.6.bias"),
            "'final_layers.6.bias' [1] is missing",
        ),
        ("net_recon", lambda held: held["net_recon"].update(fc=torch.zeros(2)), "'fc' [2] is not one of the network's"),
        ("net_recon", lambda held: held.pop("net_recon"), "'net_recon' with the weights of hrn/net_recon is missing"),
        ("mid_net", lambda held: held.pop("alpha"), "the one number 'alpha' is missing"),
        ("high_net", lambda held: held.update(high_net=held["mid_net"]), "'model.1.weight' has shape [4, 6, 7, 7]"),
    ],
)
def test_what_does_not_fit_is_named(network, change, sentence, snapshot, tmp_path):
    folder = _broken(snapshot, tmp_path, change)
    with pytest.raises(Mistake) as refused:
        load_source(network, folder)
    assert sentence in str(refused.value)
    assert "pytorch_model.pt" in str(refused.value)


def test_own_files_are_flat_and_carry_their_gain(snapshot, tmp_path):
    held = torch.load(snapshot / "pytorch_model.pt", weights_only=True)
    save_file(held["mid_net"] | {"alpha": held["alpha"]}, tmp_path / "mid_net.safetensors")
    module = load_source("mid_net", tmp_path)
    assert module.gain.factor == pytest.approx(0.05)
    save_file(held["mid_net"], tmp_path / "bare.safetensors")
    with pytest.raises(Mistake, match="the one number 'alpha' is missing"):
        load_source("mid_net", tmp_path / "bare.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "retinaface.safetensors")
    torch.save({}, tmp_path / checkpoint.PLACES["retinaface"].file)
    with pytest.raises(Mistake, match="both weights of hrn/retinaface; leave one of them there"):
        load_source("retinaface", tmp_path)


@pytest.mark.parametrize(("name", "found"), [("one.pt", "is one file, and hrn has eight"), ("gone", "does not exist")])
def test_weights_are_a_folder(name, found, tmp_path):
    (tmp_path / "one.pt").write_bytes(b"")
    with pytest.raises(Mistake, match=rf"{name} {found}.*name a folder"):
        checkpoint.file_of("fan", tmp_path / name)


def test_other_files_are_refused_in_one_sentence(snapshot, tmp_path):
    with pytest.raises(Mistake, match=r"neither de_retouching_model\.pth nor de_retouch\.safetensors"):
        load_source("de_retouch", tmp_path)
    torch.save({"generator": {"a": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(Mistake, match=r"'inc\.conv\.conv\.0\.weight' is missing"):
        load_source("de_retouch", tmp_path / "other.pth")
    (tmp_path / "fan.zip").write_bytes(b"PK")
    with pytest.raises(Mistake, match="not a readable TorchScript archive"):
        load_source("fan", tmp_path / "fan.zip")
