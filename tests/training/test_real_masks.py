"""The hand-drawn mattes are what they were before any network was trained against the real photographs."""

import hashlib

import pytest

from training.cv_unet import real_masks

# Fixed before the first training run. A change here moves the goalposts of tests/training/test_astronaut.py.
SHA256 = {
    "astronaut_mask.json": "78929f76ce64d8f25a49dc00af9b2a258fdc86691fe706342617c2537d69544c",
    "grace_hopper_mask.json": "6e008e0f6adb84e3d9159e6bec29325169d0e6e6fdc11dac28d316ebf25ecf7e",
}


@pytest.mark.parametrize("name", SHA256)
def test_drawn_before_training(name):
    assert hashlib.sha256((real_masks.DRAWN / name).read_bytes()).hexdigest() == SHA256[name]


@pytest.mark.parametrize(
    ("name", "person", "ignored"),
    # Of the astronaut's 15.0 %, the helmet in front of her is 12.7 points and the outline band the rest.
    [("astronaut_mask.json", 0.413, 0.150), ("grace_hopper_mask.json", 0.580, 0.034)],
)
def test_shares(name, person, ignored):
    mask = real_masks.load(real_masks.DRAWN / name)
    assert mask.person.mean() == pytest.approx(person, abs=1e-3)
    assert 1 - mask.counted.mean() == pytest.approx(ignored, abs=1e-3)


def test_band_lies_on_the_outline_alone():
    mask = real_masks.load(real_masks.DRAWN / "astronaut_mask.json")
    assert mask.counted[300, 150], "inside the suit"
    assert mask.person[300, 150]
    assert mask.counted[100, 450], "the shuttle behind her"
    assert not mask.person[100, 450]
    assert not mask.counted[16, 233], "the outline of the hair"
    assert not mask.counted[430, 400], "the helmet"
    assert mask.counted[511, 150], "the frame is no outline"
