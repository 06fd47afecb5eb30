"""Which profiles are sRGB is told by what they do to colours, whatever they are called."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from trtkit.models.imaging.colour_profile import foreign_profile
from trtkit.models.imaging.decode import decode, decode_bytes

from .profiles import ADOBE, grey_profile, rgb_profile, srgb_curve


def linear(x: np.ndarray) -> np.ndarray:
    return x


def gamma(x: np.ndarray) -> np.ndarray:
    return x**2.2


def embedded(name: str) -> bytes:
    """What a picture of scikit-image carries."""
    with Image.open(f"{data.__path__[0]}/{name}") as image:
        return image.info["icc_profile"]


def built_in() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module")
def ramp() -> np.ndarray:
    """uint8 [4, 256, 3]: grey, then each colour alone."""
    made = np.zeros((4, 256, 3), np.uint8)
    made[0] = np.arange(256)[:, None]
    for colour in range(3):
        made[colour + 1, :, colour] = np.arange(256)
    return made


def decoded(icc: bytes, pixels: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", icc_profile=icc)
    return decode_bytes(stream.getvalue(), "a.png").rgb


@pytest.mark.parametrize(
    "icc",
    [
        built_in(),
        embedded("astronaut.png"),  # HP's own, 'sRGB IEC61966-2.1', which most cameras embed
        rgb_profile("sRGB", srgb_curve),
        rgb_profile("GIMP built-in sRGB", srgb_curve),
    ],
    ids=["built-in", "HP", "made", "another name"],
)
def test_srgb_changes_no_pixel(icc, ramp):
    assert foreign_profile(icc, "RGB") is None
    assert np.array_equal(decoded(icc, ramp), ramp)


@pytest.mark.parametrize(
    ("name", "curve", "colours"),
    [
        ("sRGB-elle-V2-g10.icc", linear, None),
        ("sRGB-elle-V2-g22.icc", gamma, None),
        ("sRGB IEC61966-2.1", linear, None),
        ("sRGB", srgb_curve, ADOBE),
    ],
)
def test_another_profile_that_is_called_srgb_is_converted(name, curve, colours, ramp):
    icc = rgb_profile(name, curve, *([colours] if colours else []))
    assert foreign_profile(icc, "RGB") is not None
    assert np.array_equal(
        decoded(icc, ramp), decoded(rgb_profile("Another", curve, *([colours] if colours else [])), ramp)
    )
    if curve is linear:
        light = ramp[0, :, 0] / 255
        shown = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
        assert np.abs(decoded(icc, ramp)[0, :, 1] - shown * 255).max() < 3
        assert abs(int(decoded(icc, ramp)[0, 55, 1]) - 128) <= 1


@pytest.mark.parametrize(("curve", "same"), [(srgb_curve, True), (linear, False)])
def test_a_grey_profile_is_judged_alike(curve, same, ramp):
    icc = grey_profile("sRGB grey", curve)
    assert (foreign_profile(icc, "L") is None) is same
    assert np.array_equal(decoded(icc, ramp[0, None, :, 0]), ramp[0, None]) is same


def test_a_profile_for_another_kind_of_picture_is_ignored():
    assert foreign_profile(grey_profile("Grey", linear), "RGB") is None
    assert foreign_profile(rgb_profile("Linear", linear), "L") is None
    assert foreign_profile(rgb_profile("Linear", linear), "CMYK") is None


def test_a_photograph_with_the_usual_profile_is_what_it_was(tmp_path, portrait_pixels):
    for name, options in (("plain.jpg", {}), ("tagged.jpg", {"icc_profile": embedded("astronaut.png")})):
        Image.fromarray(portrait_pixels).save(tmp_path / name, quality=95, **options)
    assert np.array_equal(decode(tmp_path / "plain.jpg").rgb, decode(tmp_path / "tagged.jpg").rgb)
