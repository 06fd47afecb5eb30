"""Real files on a real disk: every kind that decodes, and every kind that ends in one sentence."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from trtkit.errors import Mistake
from trtkit.models.imaging.decode import decode, decode_bytes
from trtkit.models.imaging.jpeg_fill import ends_in_fill


def scene(height: int = 60, width: int = 80) -> np.ndarray:
    """A smooth picture whose four corners differ, so that a turn shows and JPEG hardly changes it."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.rint(np.dstack([40 + 180 * x, 40 + 180 * y, 200 - 150 * x * y])).astype(np.uint8)


def save(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def sentence(path: Path, **options) -> str:
    with pytest.raises(Mistake) as caught:
        decode(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert "BytesIO" not in message
    return message


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp", "jpg"])
def test_decodes_the_common_kinds(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {"quality": 95} if suffix == "jpg" else {}
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(scene()), **options)
    picture = decode(path)
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb.flags.c_contiguous
    assert (picture.alpha, picture.size, picture.source) == (None, (60, 80), path)
    assert np.abs(picture.rgb.astype(int) - scene()).max() <= (8 if suffix == "jpg" else 0)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_stands_upright_for_every_exif_orientation(tmp_path, suffix, orientation):
    upright = scene()
    turned = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright, 1), 7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(np.ascontiguousarray(turned)), exif=exif, quality=95)
    picture = decode(path)
    assert picture.size == (60, 80)
    assert picture.rgb.shape == (60, 80, 3)
    assert np.abs(picture.rgb.astype(int) - upright).mean() < 4


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("at_least", "expected"), [((70, 90), (75, 100)), ((80, 90), (150, 200)), ((999, 9), (600, 800))]
)
def test_scaled_decode_has_what_was_asked_and_tells_the_original_size(tmp_path, orientation, at_least, expected):
    upright = scene(600, 800)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(np.rot90(upright)) if orientation == 6 else upright
    path = save(tmp_path / "a.jpg", Image.fromarray(stored), exif=exif, quality=95)
    picture = decode(path, at_least=at_least)
    assert picture.rgb.shape[:2] == expected
    assert picture.size == (600, 800)


def test_one_pixel(tmp_path):
    for suffix in ("png", "jpg", "webp", "gif", "bmp", "tif"):
        picture = decode(save(tmp_path / f"a.{suffix}", Image.new("RGB", (1, 1), (200, 200, 200))), at_least=(512, 512))
        assert picture.rgb.shape == (1, 1, 3)
        assert abs(int(picture.rgb[0, 0, 0]) - 200) < 3


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_jpeg_keeps_its_colours(tmp_path, adobe):
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(path, quality=95)  # red; Pillow writes Adobe's inverted form
    data = path.read_bytes()
    assert b"Adobe" in data
    if not adobe:
        start = data.index(b"\xff\xee")
        length = int.from_bytes(data[start + 2 : start + 4], "big") + 2
        inverted = io.BytesIO()
        Image.new("CMYK", (16, 16), (255, 0, 0, 255)).save(inverted, "JPEG", quality=95)
        data = inverted.getvalue()
        data = data[:start] + data[start + length :]
        path.write_bytes(data)
    red, green, blue = decode(path).rgb[8, 8]
    assert red > 200
    assert max(green, blue) < 60


def png16(path: Path, samples: np.ndarray, colour: int) -> Path:
    """A 16-bit PNG made by hand: Pillow writes none in colour."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    grey = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    wanted = (grey // 257).astype(np.uint8)
    for path in (
        png16(tmp_path / "grey.png", grey, 0),
        save(tmp_path / "grey.tif", Image.fromarray(grey)),
        png16(tmp_path / "rgb.png", np.dstack([grey] * 3), 2),
    ):
        assert np.array_equal(decode(path).rgb, np.dstack([wanted] * 3))
    with_alpha = decode(png16(tmp_path / "rgba.png", np.dstack([grey] * 4), 6))
    assert np.array_equal(with_alpha.alpha, wanted)


@pytest.mark.parametrize(
    ("image", "colour", "alpha"),
    [
        (Image.new("L", (4, 4), 90), (90, 90, 90), None),
        (Image.new("1", (4, 4), 1), (255, 255, 255), None),
        (Image.new("LA", (4, 4), (90, 30)), (90, 90, 90), 30),
        (Image.new("RGBA", (4, 4), (9, 80, 200, 77)), (9, 80, 200), 77),
        (Image.new("RGBA", (4, 4), (9, 80, 200, 255)), (9, 80, 200), None),
        (Image.new("RGB", (4, 4), (9, 80, 200)).quantize(4), (9, 80, 200), None),
    ],
)
def test_every_layout_of_a_png(tmp_path, image, colour, alpha):
    picture = decode(save(tmp_path / "a.png", image))
    assert tuple(picture.rgb[2, 2]) == colour
    assert (None if picture.alpha is None else int(picture.alpha[2, 2])) == alpha


def test_palette_with_a_transparent_entry(tmp_path):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    for suffix in ("png", "gif"):
        picture = decode(save(tmp_path / f"a.{suffix}", image, transparency=0))
        assert tuple(picture.rgb[0, 1]) == (200, 100, 50)
        assert (picture.alpha[0, 1], picture.alpha[0, 0]) == (255, 0)


def test_webp_with_transparency(tmp_path):
    picture = decode(save(tmp_path / "a.webp", Image.new("RGBA", (4, 4), (9, 80, 200, 77)), lossless=True, exact=True))
    assert (*picture.rgb[0, 0], picture.alpha[0, 0]) == (9, 80, 200, 77)


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_gives_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:], **options)
    assert tuple(decode(path).rgb[4, 4]) == (255, 0, 0)


def swapped_profile() -> bytes:
    """sRGB with the colorants of red and blue exchanged: a valid display profile that no reader takes for sRGB."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {}
    for number in range(int.from_bytes(icc[128:132], "big")):
        entry = 132 + 12 * number
        tags[bytes(icc[entry : entry + 4])] = entry
    red, blue = (bytes(icc[tags[name] + 4 : tags[name] + 12]) for name in (b"rXYZ", b"bXYZ"))
    icc[tags[b"rXYZ"] + 4 : tags[b"rXYZ"] + 12], icc[tags[b"bXYZ"] + 4 : tags[b"bXYZ"] + 12] = blue, red
    at, length = (int.from_bytes(icc[tags[b"desc"] + k : tags[b"desc"] + k + 4], "big") for k in (4, 8))
    icc[at : at + length] = bytes(icc[at : at + length]).replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be"))
    return bytes(icc)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_another_colour_profile_is_converted_to_srgb(tmp_path, suffix):
    image = Image.new("RGB", (16, 16), (230, 60, 20))
    plain = decode(save(tmp_path / f"plain.{suffix}", image, quality=95)).rgb[8, 8].astype(int)
    swapped = decode(save(tmp_path / f"swapped.{suffix}", image, quality=95, icc_profile=swapped_profile())).rgb[8, 8]
    assert np.abs(swapped[::-1].astype(int) - plain).max() <= 3


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_broken_or_srgb_profile_changes_nothing(tmp_path, suffix, capfd):
    plain = decode(save(tmp_path / f"plain.{suffix}", Image.fromarray(scene()))).rgb
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for icc in (b"no profile at all", swapped_profile()[:200], srgb):
        path = save(tmp_path / f"odd.{suffix}", Image.fromarray(scene()), icc_profile=icc)
        assert np.array_equal(decode(path).rgb, plain)
    assert capfd.readouterr().err == ""


def test_not_an_image(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("these are only words")
    assert sentence(path) == (
        f"{path} is not an image that can be read; give a JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF file"
    )


def test_postscript_is_refused_unopened(tmp_path):
    path = tmp_path / "a.eps"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    assert "is not an image that can be read" in sentence(path)


def test_empty_file(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    assert "is empty (0 bytes)" in sentence(path)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
def test_cut_short_jpeg(tmp_path, share, progressive, capfd):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    path = save(tmp_path / "a.jpg", Image.fromarray(noise), comment=thumbnail(), progressive=progressive)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    message = sentence(path)
    assert "is cut short" in message or (share < 0.1 and "not an image" in message)
    assert capfd.readouterr().err == ""


def grey_at_the_end(mode: str, **options) -> bytes:
    """A JPEG whose last rows really are the mid-grey that decoders fill with."""
    picture = np.full((90, 140, 3), 128, np.uint8)
    picture[:60] = scene(60, 140)
    stream = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(stream, options.pop("format", "JPEG"), **options)
    return stream.getvalue()


def thumbnail() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16)).save(stream, "JPEG")
    return stream.getvalue()


JPEGS = {
    "plain": {},
    "grey": {"mode": "L"},
    "inks": {"mode": "CMYK"},
    "full colour": {"subsampling": 0},
    "stored as RGB": {"keep_rgb": True},
    "own tables": {"optimize": True},
    "a restart a row": {"restart_marker_rows": 1},
    "a restart a block": {"mode": "L", "restart_marker_blocks": 1},
    "a phone's thumbnail": {"comment": thumbnail()},
    "two pictures": {"format": "MPO", "save_all": True, "append_images": [Image.new("RGB", (140, 90), "#808080")]},
}


@pytest.mark.parametrize("kind", [*JPEGS, "progressive"])
@pytest.mark.parametrize("more", ["", "behind", "before the end", "fill bytes"])
@pytest.mark.parametrize("at_least", [None, (10, 10)])
def test_a_whole_jpeg_may_end_in_the_grey_of_a_decoder(kind, more, at_least):
    data = grey_at_the_end(**{"mode": "RGB", **(JPEGS | {"progressive": {"progressive": True}})[kind]})
    if more == "behind":
        data += b"a video, say" * 9
    elif more:
        between = {"before the end": bytes(40), "fill bytes": b"\xff" * 40}[more]
        data = data[:-2] + between + b"\xff\xd9"
    picture = decode_bytes(data, "a.jpg", at_least=at_least)
    assert np.abs(picture.rgb[-1, -1].astype(int) - 128).max() <= 1


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("at_least", [None, (10, 10)])
def test_a_jpeg_that_was_cut_and_closed_again(kind, share, at_least):
    """OpenCV and Pillow give grey where data is missing, and say nothing to their caller."""
    data = grey_at_the_end(**{"mode": "RGB", **JPEGS[kind]})
    scan = data.rindex(b"\xff\xda")
    if kind == "two pictures":
        scan = data.rindex(b"\xff\xda", 0, scan)
    end = data.index(b"\xff\xd9", scan)
    cut = scan + 20 + int((end - scan - 20) * share)
    data = data[:cut].rstrip(b"\xff") + data[end:]
    with pytest.raises(Mistake) as caught:
        decode_bytes(data, "a.jpg", at_least=at_least)
    assert str(caught.value) == (
        "a.jpg is cut short or damaged (data is missing before its end marker); copy or download it again"
    )


def test_where_a_jpeg_may_end_before_its_last_zeros_nothing_is_said():
    """Arithmetic coding, which no encoder here writes: only the frame's marker is such a one."""
    data = grey_at_the_end("L")
    cut = data[: data.index(b"\xff\xda") + 40] + b"\xff\xd9"
    last = np.array(128)
    assert ends_in_fill(cut, last)
    assert not ends_in_fill(cut.replace(b"\xff\xc0", b"\xff\xc9"), last)


@pytest.mark.parametrize("cut", [4, 12, 14, 3000, 30000])
def test_cut_short_png(tmp_path, cut, capfd):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    path = save(tmp_path / "a.png", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:-cut])
    assert "is cut short" in sentence(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["webp", "gif", "bmp", "tif", "avif"])
def test_other_kinds_cut_short(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(noise))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    message = sentence(path)
    assert "cut short" in message or "not an image" in message


def test_damaged_png(tmp_path, capfd):
    path = save(tmp_path / "a.png", Image.fromarray(scene()))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    assert "is cut short or damaged" in sentence(path)
    assert capfd.readouterr().err == ""


def test_over_the_limit_is_found_in_the_header(tmp_path):
    path = tmp_path / "bomb.png"
    png16(path, np.zeros((1, 1), np.uint16), 0)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 20000, 20000)  # no pixels follow that could be decoded
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path.write_bytes(data)
    assert sentence(path) == (
        f"{path} is 20000x20000, 400.0 megapixels, over the limit of 100; make it smaller or raise --max-megapixels"
    )


def test_the_limit_is_the_callers(tmp_path):
    path = save(tmp_path / "a.png", Image.new("RGB", (2000, 1000)))
    assert decode(path, limit_megapixels=2).size == (1000, 2000)
    assert "2.0 megapixels, over the limit of 1.9" in sentence(path, limit_megapixels=1.9)


def test_heic(tmp_path):
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert "is a HEIC image" in sentence(path)


@pytest.mark.parametrize(("mode", "word"), [("F", "floating-point"), ("I", "32-bit integer"), ("LAB", "Lab")])
def test_pixels_without_a_stated_white(tmp_path, mode, word):
    path = save(tmp_path / "a.tif", Image.new(mode, (4, 4)))
    assert f"holds {word} pixels" in sentence(path)


def test_missing_file_and_folder(tmp_path):
    assert "does not exist" in sentence(tmp_path / "none.jpg")
    assert "is a folder, not an image" in sentence(tmp_path)
    assert "is not a regular file" in sentence(Path("/dev/null"))


def test_unreadable_file(tmp_path):
    path = save(tmp_path / "a.png", Image.new("RGB", (4, 4)))
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # the superuser reads everything
    try:
        assert "cannot be read" in sentence(path)
    finally:
        os.seteuid(user)


def test_bytes_decode_like_a_file(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(scene()))
    assert np.array_equal(decode_bytes(path.read_bytes(), "upload").rgb, scene())
    with pytest.raises(Mistake, match=r"^upload is empty"):
        decode_bytes(b"", "upload")
