"""Each network as ONNX against torch, one batch exported and another run; its FP16 form, valid and parsed by RTX."""

import numpy as np
import onnx
import pytest
import torch

from tests.models.hrn.modules import NETWORKS
from tests.models.hrn.random_weights import random_input, random_state
from trtkit.build_engines import tensorrt_rtx
from trtkit.build_engines.builder import Source
from trtkit.build_engines.log_lines import collecting, logger
from trtkit.build_engines.precision_share import enforce, share_of_network
from trtkit.export.half import to_half
from trtkit.export.torch_export import to_onnx
from trtkit.models.hrn import specs
from trtkit.models.hrn.networks.deretouch import DeRetouchNet
from trtkit.models.hrn.networks.fan import FAN
from trtkit.models.hrn.networks.pix2pix import Offsets, ResidualGenerator
from trtkit.models.hrn.networks.recon import CoefficientNet, ImageCoefficients
from trtkit.models.hrn.networks.retinaface import RetinaFace
from trtkit.models.hrn.networks.s3fd import S3FD
from trtkit.optional import installed
from trtkit.runtime.cpu import CpuBackend

BATCH = {"de_retouch": 1, "high_net": 1, "fan": 1}
"""Runs of the dear networks; the others run a batch of 3. The exporter's own example is a batch of 2."""

SMALLER = {
    "high_net": lambda: ResidualGenerator(9, 1, 16),
    "de_retouch": lambda: DeRetouchNet(16),
    "retinaface": lambda: RetinaFace(16),
    "fan": lambda: FAN(2),
}
"""The same graphs with a quarter of the channels, or two of four equal stacks: what the dearest cost is arithmetic."""


def _exported(module):
    if isinstance(module, CoefficientNet):
        return ImageCoefficients(module).eval()
    return Offsets(module, 0.01).eval() if isinstance(module, ResidualGenerator) else module


@pytest.mark.parametrize("spec", specs.NETWORKS, ids=lambda spec: spec.name)
def test_onnx_equals_torch_and_takes_any_batch(spec):
    module = SMALLER.get(spec.name, NETWORKS[spec.name])().eval()
    module.load_state_dict(random_state(module.state_dict()))
    module = _exported(module)
    exported = to_onnx(module, spec, "hrn", "0" * 64)
    entry = spec.inputs[0]
    values = random_input(spec.name, (BATCH.get(spec.name, 3), *entry.shape[1:]), *entry.value_range)
    values = values.to(getattr(torch, entry.dtype))
    with torch.inference_mode():
        wanted = module(values)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    with CpuBackend(exported.SerializeToString()) as backend:
        found = backend.run({entry.name: values.numpy()})
    for tensor, reference in zip(spec.outputs, wanted, strict=True):
        gap = np.abs(found[tensor.name] - reference.numpy()).max()
        assert gap <= 1e-4 * float(reference.abs().max()), tensor.name
    _check_half(exported, spec)


def test_a_position_without_features_gives_numbers_in_the_onnx():
    """S³FD divides by the features' length, which is 0 where all of them are."""
    module = S3FD(2).eval()
    silent = {
        name: tensor * 0 if name.startswith("conv3_3.") else tensor for name, tensor in module.state_dict().items()
    }
    module.load_state_dict(silent)
    exported = to_onnx(module, specs.S3FD, "hrn", "0" * 64)
    image = np.zeros((1, 3, 224, 224), np.float32)
    with CpuBackend(exported.SerializeToString()) as backend:
        found = backend.run({"image": image})
    with torch.inference_mode():
        boxes, scores = module(torch.from_numpy(image))
    np.testing.assert_allclose(found["boxes"], boxes.numpy(), atol=1e-5)
    np.testing.assert_allclose(found["scores"], scores.numpy(), atol=1e-5)


def _check_half(exported, spec):
    """The FP16 form is valid, and what the spec keeps in FP32 really is in the graph."""
    names = [node.name for node in exported.graph.node]
    for prefix in spec.keep_fp32:
        assert any(name.startswith((f"{prefix}.", f"{prefix}/")) for name in names), prefix
    half = to_half(exported, spec.keep_fp32)
    onnx.checker.check_model(half, full_check=True)
    CpuBackend(half.SerializeToString()).close()
    convolutions = [node for node in half.graph.node if node.op_type == "Conv"]
    weights = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    in_half = sum(weights[node.input[1]] == onnx.TensorProto.FLOAT16 for node in convolutions)
    assert in_half >= len(convolutions) - 1, "all but net_recon's heads"
    _check_rtx(half.SerializeToString(), spec.name)


def _check_rtx(content, name):
    """TensorRT-RTX parses the typed graph, and the builder's own count passes it as FP16."""
    if not installed("tensorrt_rtx_bindings"):
        return
    trt = tensorrt_rtx.module()
    with collecting():
        builder = trt.Builder(logger(trt))
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, logger(trt))
        assert parser.parse(content), parser.get_error(0).desc()
        enforce(share_of_network(trt, network), Source(content, name, "fp16"))
