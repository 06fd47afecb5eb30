"""Fused networks give what ONNX Runtime gives: their kernels compiled for this processor, their convolutions by ONNX
Runtime on the CPU, everything between them as on a GPU."""

from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.host_cuda import HostCuda
from trtkit.errors import CheckFailed, Mistake
from trtkit.runtime.cuda_api import OutOfMemory
from trtkit.runtime.fused.network import Unfused
from trtkit.runtime.fused.program import program_text
from trtkit.runtime.fused.source import PREAMBLE

from . import networks
from .networks import HALF, IMAGE, Builder, guided, picture, planar, program_of, ran, reference, two_levels

pytestmark = pytest.mark.skipif(networks.gxx() is None, reason="needs g++ for the kernels")


def differs(found: np.ndarray, expected: np.ndarray) -> int:
    assert expected.std() > 5
    return int(np.abs(found.astype(int) - expected).max())


@pytest.mark.parametrize("widths", [(8, 16), (5, 7)], ids=["eight channels a thread", "one channel a thread"])
def test_a_u_net_at_every_shape(widths):
    """Twice the size and not quite, in kernels of their own; odd sizes lose a row in pooling; a part of a block."""
    model = two_levels(widths=widths)
    program, _ = program_of(model, (3, 40, 48, 3))
    for shape in ((1, 16, 24, 3), (3, 40, 48, 3), (2, 19, 23, 3), (1, 17, 16, 3), (1, 2, 3, 3)):
        image = picture(*shape)
        assert differs(ran(program, model, image), reference(model, image)) <= 1, shape


def test_a_cartoon_network_with_its_guided_filter():
    model = guided()
    program, _ = program_of(model, (2, 40, 36, 3))
    for shape in ((1, 32, 32, 3), (2, 40, 36, 3), (1, 2, 2, 3)):
        image = picture(*shape)
        assert differs(ran(program, model, image), reference(model, image)) <= 1, shape


def test_channels_first_outside():
    model = planar()
    program, _ = program_of(model, (2, 3, 24, 24))
    texture = np.random.default_rng(0).random((2, 3, 24, 24), np.float32)
    expected = reference(model, texture)
    assert expected.std() > 0.05
    assert np.abs(ran(program, model, texture) - expected).max() < 2e-3


def test_doubling_has_a_kernel_of_its_own_and_any_other_size_the_general_one():
    model = two_levels()
    program, cuda = program_of(model, (1, 32, 32, 3))
    used = []
    for side in (32, 31):
        cuda.launched.clear()
        ran(program, model, picture(1, side, side, 3))
        used.append(set(cuda.launched))
    assert len(used[0] - used[1]) == len(used[1] - used[0]) == 1


def test_runs_that_take_turns_do_not_disturb_each_other():
    """All share one piece of memory, and shapes bound before others stay what they are."""
    model = two_levels()
    program, _ = program_of(model, (2, 32, 32, 3))
    images = [picture(2, 32, 32, 3), picture(1, 20, 28, 3, seed=1)]
    found = [np.zeros((*image.shape[:3], 2), np.uint8) for image in images]
    bound = [
        program.bind({"image": image.ctypes.data, "map": out.ctypes.data}, {"image": image.shape, "map": out.shape})
        for image, out in zip(images, found, strict=True)
    ]
    for number in (0, 1, 0, 1):
        found[number][...] = 0
        for piece in bound[number]:
            piece()
        assert differs(found[number], reference(model, images[number])) <= 1


def test_every_profile_has_room_and_no_other_shape_is_taken():
    model = two_levels()
    program, _ = program_of(model, (4, 16, 16, 3), (1, 48, 48, 3))
    for shape in ((4, 16, 16, 3), (1, 48, 48, 3)):
        image = picture(*shape)
        assert differs(ran(program, model, image), reference(model, image)) <= 1
    with pytest.raises(Mistake, match=r"input 'image' of shape 2x48x48x3 is outside every profile"):
        ran(program, model, picture(2, 48, 48, 3))


def test_tensors_of_different_sizes_are_a_sentence():
    """Of an odd size, its half doubled again is one smaller: ONNX Runtime refuses the sum, too."""
    model = guided()
    program, _ = program_of(model, (1, 32, 32, 3))
    with pytest.raises(Unfused, match="is made of tensors of different sizes for inputs of 33x32"):
        program_of(model, (1, 33, 32, 3))
    with pytest.raises(CheckFailed, match="is made of tensors of different sizes for inputs of 31x32"):
        program.bind({"image": 0, "map": 0}, {"image": (1, 31, 32, 3), "map": (1, 31, 32, 3)})


def test_a_picture_that_is_too_small_is_a_sentence():
    program, _ = program_of(two_levels(), (1, 16, 16, 3))
    with pytest.raises(CheckFailed, match=r"nothing is left of 'maxpool\d+' for inputs of 1x16"):
        program.bind({"image": 0, "map": 0}, {"image": (1, 1, 16, 3), "map": (1, 1, 16, 2)})


def test_everything_is_freed_also_when_opening_fails_half_way(monkeypatch):
    program, cuda = program_of(two_levels(), (1, 32, 32, 3))
    assert cuda.blocks
    assert cuda.modules == 1
    program.free()
    assert (cuda.blocks, cuda.modules) == ({}, 0)
    made: list[HostCuda] = []

    class Watched(HostCuda):
        def __init__(self, room: int) -> None:
            super().__init__(room)
            made.append(self)

    monkeypatch.setattr(networks, "HostCuda", Watched)
    for broken, error in ((networks, "open_session"), (HostCuda, "function"), (HostCuda, "copy_in")):
        with monkeypatch.context() as patch:
            patch.setattr(broken, error, _fail)
            with pytest.raises(CheckFailed, match="on purpose"):
                program_of(two_levels(), (1, 32, 32, 3))
        assert (made[-1].blocks, made[-1].modules) == ({}, 0), error
    assert len(made) == 3


def _fail(*_: object) -> None:
    raise CheckFailed("on purpose")


def test_a_device_that_is_too_small_is_found_when_the_arena_is_taken():
    with pytest.raises(OutOfMemory):
        program_of(two_levels(), (1, 512, 512, 3), room=1 << 20)


def test_an_output_of_another_size_than_the_file_states_is_a_sentence():
    """Of an odd size; without the check it would be written into a buffer that it does not fit."""
    b = Builder()
    x = b.node("Relu", b.conv(b.node("Cast", b.normalised("image"), to=HALF), 3, 8))
    x = b.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.node("Resize", x, "", b.constant([1, 1, 2, 2], np.float32), mode="linear")
    model = b.model(IMAGE, b.to_image(x), ("N", "H", "W", 8))
    program, _ = program_of(model, (1, 8, 8, 3))
    with pytest.raises(CheckFailed, match="output 'map' is 1x6x8x8 where the ONNX file states 1x7x9x8"):
        program.bind({"image": 0, "map": 0}, {"image": (1, 7, 8, 3), "map": (1, 7, 9, 8)})


def test_a_convolution_in_groups_of_the_pictures_channels_gets_no_fourth():
    b = Builder()
    x = b.conv(b.node("Cast", b.normalised("image"), to=HALF), 3, 6, group=3)
    model = b.model(IMAGE, b.to_image(b.node("Sigmoid", x)), ("N", "H", "W", 6))
    image = picture(2, 9, 8, 3)
    assert differs(ran(program_of(model, (2, 9, 8, 3))[0], model, image), reference(model, image)) <= 1


def test_steps_that_do_the_same_share_a_kernel():
    text = program_text({"(int a) { }": "one", "(int b) { }": "two"})
    assert text.startswith(PREAMBLE)
    assert text.endswith('extern "C" __global__ void one(int a) { }\nextern "C" __global__ void two(int b) { }\n')
    program, cuda = program_of(guided(), (1, 16, 16, 3))
    ran(program, guided(), picture(1, 16, 16, 3))
    assert len(set(cuda.launched)) < len(cuda.launched)
