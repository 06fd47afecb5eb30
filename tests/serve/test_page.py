"""The page in a real Chromium, against a real server on the tiny network."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trtkit import models
from trtkit.config import Batching
from trtkit.models.imaging import compose
from trtkit.models.imaging.letterbox import resize
from trtkit.models.imaging.upsample import upsample_alpha
from trtkit.runtime.cpu import CpuBackend
from trtkit.serve.batcher import Batcher
from trtkit.serve.limits import Limits
from trtkit.serve.opening import open_batcher
from trtkit.serve.service import Served

from ..models.imaging.scenes import hair_over_ground
from .browser import chromium
from .conftest import alone
from .faces import inside, served_faces
from .relay import Meter, metered
from .server import Server, started
from .tiny import photo, pixels, tiny_onnx

KEY = "a-key-of-at-least-16"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tiny_root, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page") / "cwd"
    folder.mkdir()
    with started(tiny_root, folder, "--time-limit", 60) as running:
        yield running
    assert list(folder.iterdir()) == []


@pytest.fixture
def meter(server) -> Iterator[Meter]:
    with metered(server.url) as wire:
        yield wire


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Any]]:
    """visit(url, **context): the page, opened; fails afterwards if it asked elsewhere or complained."""
    contexts, asked, complaints = [], [], []

    def opened(url: str, **settings: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(url)
        page.locator("#work:not([hidden]), #login:not([hidden])").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    elsewhere = [url for url in asked if not re.match(r"(http://127\.0\.0\.1:|blob:http://127\.0\.0\.1:)", url)]
    assert asked
    assert not elsewhere
    expected = "Failed to load resource: the server responded with a status of"  # a refusal is the server's answer
    assert not [text for text in complaints if not text.startswith(expected)]


@pytest.fixture(scope="module")
def twelve() -> bytes:
    """A photograph of 12 megapixels: hair over a plain ground, with a sensor's noise."""
    rgb, _, _ = hair_over_ground(750, 1000)
    noise = np.random.default_rng(0).integers(0, 9, (3000, 4000, 1), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.minimum(resize(rgb, (3000, 4000)), 247) + noise).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def _tiny_batcher() -> Batcher:
    spec = models.get("cv_unet").networks[0]
    return open_batcher("cv_unet/matting", [CpuBackend(tiny_onnx())], spec, Batching(), Limits(workers=2))


def _file(name: str, content: bytes, kind: str = "image/jpeg") -> dict[str, Any]:
    return {"name": name, "mimeType": kind, "buffer": content}


def _cards(page: Any, state: str, count: int) -> Any:
    from playwright.sync_api import expect

    cards = page.locator(f'.card[data-state="{state}"]')
    expect(cards).to_have_count(count, timeout=45_000)
    return cards


def _saved(page: Any, selector: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.click(selector)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_three_pictures_sent_seen_compared_and_saved(visit, meter, twelve):
    page = visit(meter.url)
    # A line of 300 kB/s upwards, so that there is something to see of the way.
    page.context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 20, "downloadThroughput": 8e6, "uploadThroughput": 3e5},
    )
    page.evaluate(
        """() => { window.seen = [];
        new MutationObserver(() => document.querySelectorAll('progress').forEach((bar) => seen.push(bar.value)))
            .observe(document.body, { subtree: true, attributes: true, attributeFilter: ['value'] }); }"""
    )
    meter_before = meter.up, meter.down
    page.set_input_files("#files", [_file("twelve.jpg", twelve)])
    card = _cards(page, "done", 1)
    assert any(0 < value < 1 for value in page.evaluate("seen"))
    stages = [text.split("\n")[0] for text in card.locator(".steps li").all_inner_texts()]
    assert stages == ["sent", "queue", "decode", "resize", "run", "upsample", "encode"]
    up, down = meter.up - meter_before[0], meter.down - meter_before[1]
    print(f"12 megapixels: {up} bytes up instead of {len(twelve)}, {1 - up / len(twelve):.1%} less; {down} down")
    assert 10_000 < up <= 0.3 * len(twelve)

    small, tall = photo(300, 400, seed=1, kind="PNG"), photo(900, 400, seed=2)
    page.set_input_files("#files", [_file("small.png", small, "image/png"), _file("tall.jpg", tall)])
    _cards(page, "done", 3)

    slider = page.locator(".compare-slider").first
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    assert 75 < float(slider.input_value()) < 85
    before = page.locator(".compare").first.screenshot()
    slider.press("Home")
    assert float(slider.input_value()) == 0
    assert page.locator(".compare").first.screenshot() != before

    name, archive = _saved(page, "#all")
    assert name == "trtkit.zip"
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        assert files.testzip() is None
        results = {entry: pixels(files.read(entry)) for entry in files.namelist()}
    assert list(results) == ["twelve.cutout.png", "small.cutout.png", "tall.cutout.png"]
    for result, data in zip(results.values(), (twelve, small, tall), strict=True):
        expected = alone(data)
        assert result.shape == expected.shape
        # The browser shrinks by a filter of its own, and holds colours multiplied by alpha.
        assert np.abs(result[..., 3].astype(int) - expected[..., 3]).mean() < 1.5
        solid = (result[..., 3] == 255) & (expected[..., 3] == 255)
        assert np.abs(result[solid].astype(int) - expected[solid]).max(initial=0) <= 1


def test_a_cut_out_stands_before_a_colour_or_ones_own_picture(visit, server):
    page = visit(server.url)
    half = np.zeros((80, 120, 3), np.uint8)
    half[:, 60:] = 255  # the tiny network's alpha is the red channel
    stream = io.BytesIO()
    Image.fromarray(half).save(stream, "PNG")
    page.set_input_files("#files", [_file("half.png", stream.getvalue(), "image/png")])
    _cards(page, "done", 1)
    page.get_by_label("Blue", exact=True).check()
    _, saved = _saved(page, ".download")
    assert pixels(saved)[40, 20].tolist() == [0x25, 0x63, 0xEB, 255]
    assert pixels(saved)[40, 100].tolist() == [255, 255, 255, 255]

    behind = io.BytesIO()
    Image.new("RGB", (30, 30), (200, 100, 0)).save(behind, "PNG")
    page.set_input_files("#background-file", [_file("behind.png", behind.getvalue(), "image/png")])
    page.get_by_role("button", name="behind.png", pressed=True).wait_for()
    page.select_option("#save-as", "image/jpeg")
    name, saved = _saved(page, ".download")
    assert name == "half.cutout.jpg"
    assert np.abs(pixels(saved)[40, 20].astype(int) - (200, 100, 0)).max() < 8

    page.get_by_label("Transparent").check()
    assert page.input_value("#save-as") == "image/png"


def test_a_picture_that_came_half_transparent_keeps_its_colours(visit, server):
    """The server is asked for the matte of its colours alone; where its own alpha is no more, it stays as it was."""
    page = visit(server.url)
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (60, 90, 4), np.uint8)
    rgba[..., 0] = 200  # the tiny network's alpha is the red channel
    rgba[..., 3] = 128
    rgba[:20, :, 3] = 0
    stream = io.BytesIO()
    Image.fromarray(rgba).save(stream, "PNG")
    page.set_input_files("#files", [_file("half.png", stream.getvalue(), "image/png")])
    _cards(page, "done", 1)
    _, saved = _saved(page, ".download")
    found = pixels(saved)
    assert not found[:20].any()
    assert np.array_equal(found[20:, :, 3], rgba[20:, :, 3])
    # The browser holds colours multiplied by alpha.
    assert np.abs(found[20:, :, :3].astype(int) - rgba[20:, :, :3]).max() <= 2


def test_a_background_that_the_browser_cannot_read_is_told_and_the_old_one_stays(visit, server):
    """Chromium reads no TIFF, though it is an image that the file dialogue offers."""
    page = visit(server.url)
    page.set_input_files("#files", [_file("first.png", photo(60, 60, kind="PNG"), "image/png")])
    _cards(page, "done", 1)
    page.get_by_label("Blue", exact=True).check()
    page.set_input_files("#background-file", [_file("scan.tif", photo(60, 90, kind="TIFF"), "image/tiff")])
    told = page.get_by_text("This browser cannot read scan.tif; a JPEG, PNG or WebP would do.")
    told.wait_for()
    assert page.get_by_label("Blue", exact=True).is_checked()
    dark = np.zeros((40, 40, 3), np.uint8)  # the tiny network's alpha is the red channel
    stream = io.BytesIO()
    Image.fromarray(dark).save(stream, "PNG")
    page.set_input_files("#files", [_file("second.png", stream.getvalue(), "image/png")])
    second = _cards(page, "done", 2).last
    with page.expect_download() as download:
        second.locator(".download").click()
    assert pixels(Path(download.value.path()).read_bytes())[20, 20].tolist() == [0x25, 0x63, 0xEB, 255]
    page.get_by_label("Green", exact=True).check()
    told.wait_for(state="hidden")


def test_a_background_that_cannot_be_put_behind_is_told_on_the_card(visit, server):
    page = visit(server.url)
    page.set_input_files("#files", [_file("first.png", photo(60, 60, kind="PNG"), "image/png")])
    _cards(page, "done", 1)
    page.evaluate("createImageBitmap = async () => ({ close() {} })")  # the page believes it, the studio does not
    page.set_input_files("#background-file", [_file("scan.tif", photo(60, 90, kind="TIFF"), "image/tiff")])
    page.get_by_text("The background could not be put behind it: ").wait_for()
    page.get_by_label("Blue", exact=True).check()
    page.locator('.card .meta:has-text("60 \N{MULTIPLICATION SIGN} 60")').wait_for()


def test_the_others_go_on_where_waiting_pictures_are_removed(visit, server):
    page = visit(server.url)
    held, sent = [], []
    page.route("**/v1/cv_unet*", lambda route: route.continue_() if sent else held.append(route))
    names = [f"{number}.png" for number in range(1, 10)]
    page.set_input_files("#files", [_file(name, photo(40, 40, kind="PNG"), "image/png") for name in names])
    for _ in range(3000):
        if len(held) == 3:
            break
        page.wait_for_timeout(10)
    for name in names[3:6]:
        page.get_by_role("button", name=f"Remove {name}").click()
    for route in held:
        route.continue_()
        sent.append(route)
    _cards(page, "done", 6)
    assert page.inner_text("#summary").startswith("6 of 6 done")


def test_what_the_browser_cannot_show_is_sent_as_it_is(visit, server):
    """Chromium reads no TIFF: the server's own cut-out is shown, and put before the background."""
    page = visit(server.url)
    page.get_by_label("Blue", exact=True).check()
    data = photo(60, 90, kind="TIFF")
    page.set_input_files("#files", [_file("scan.tif", data, "image/tiff")])
    _cards(page, "done", 1)
    name, saved = _saved(page, ".download")
    assert name == "scan.cutout.png"
    expected = alone(data, background="#2563eb")
    assert np.abs(pixels(saved)[..., :3].astype(int) - expected).mean() < 1


def test_pictures_are_dropped_pasted_or_chosen(visit, server):
    page = visit(server.url)
    give = """([how, name, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' }));
        document.body.dispatchEvent(how === 'drop'
            ? new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data })
            : new ClipboardEvent('paste', { bubbles: true, clipboardData: data })); }"""
    data = list(photo(40, 40, kind="PNG"))
    page.evaluate(give, ["drop", "dropped.png", data])
    page.evaluate(give, ["paste", "pasted.png", data])
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures").press("Enter")
    assert chooser.value.is_multiple()
    chooser.value.set_files([_file("chosen.png", bytes(data), "image/png")])
    assert _cards(page, "done", 3).locator(".name").all_inner_texts() == ["dropped.png", "pasted.png", "chosen.png"]


def test_what_is_no_picture_shows_the_servers_sentence_and_can_be_removed(visit, server):
    page = visit(server.url)
    page.set_input_files("#files", [_file("notes.txt", b"hello", "text/plain"), _file("x.png", b"hello", "image/png")])
    texts = _cards(page, "failed", 2).locator(".error").all_inner_texts()
    assert texts[0].startswith("the body is 'text/plain'; right would be a picture")
    assert "is not an image that can be read" in texts[1]
    page.get_by_role("button", name="Remove notes.txt").click()
    _cards(page, "failed", 1)
    assert page.inner_text("#summary") == "0 of 1 done · 1 failed"


def test_options_come_from_the_server_and_apply_to_what_is_there(visit, server):
    page = visit(server.url)
    page.set_input_files("#files", [_file("a.png", photo(64, 64, kind="PNG"), "image/png")])
    _cards(page, "done", 1)
    assert not page.is_visible("#again")
    page.get_by_label("Alpha only").check()
    page.get_by_label("Size").fill("300")
    page.get_by_role("button", name="Run again with these settings").click()
    _cards(page, "done", 1)
    assert not page.is_visible("#again")
    _, saved = _saved(page, ".download")
    matte = pixels(saved)
    assert (matte[..., 0] == matte[..., 1]).all()
    assert (matte[..., 3] == 255).all()
    page.get_by_label("Size").fill("9")
    assert page.evaluate("document.getElementById('form').checkValidity()") is False


def test_a_colour_is_the_servers_option_where_the_page_does_not_compose(visit):
    served = Served(replace(models.get("cv_unet"), useful=None), {"matting": _tiny_batcher()}, 9)
    data = photo(50, 70)
    with inside(served) as url:
        page = visit(url)
        page.set_input_files("#files", [_file("a.jpg", data)])
        _cards(page, "done", 1)
        np.testing.assert_array_equal(pixels(_saved(page, ".download")[1]), alone(data))
        page.get_by_label("Background: use a colour").check()
        page.locator("#option-background").fill("#00ff00")
        page.get_by_role("button", name="Run again with these settings").click()
        _cards(page, "done", 1)
        np.testing.assert_array_equal(pixels(_saved(page, ".download")[1]), alone(data, background="#00ff00"))


def test_with_keys_the_page_asks_for_one(visit, tiny_root, tmp_path):
    folder, keys = tmp_path / "cwd", tmp_path / "keys"
    folder.mkdir()
    keys.write_text(KEY)
    with started(tiny_root, folder, "--api-keys", keys) as server:
        page = visit(server.url)
        field = page.get_by_label("API key")
        field.fill("not-a-key-of-this-server")
        field.press("Enter")
        page.get_by_text("this is not a key of this server; ask whoever runs it for one").wait_for()
        assert not page.is_visible("#work")
        field.fill(KEY)
        field.press("Enter")
        page.locator("#work").wait_for()
        page.set_input_files("#files", [_file("a.jpg", photo(64, 64))])
        _cards(page, "done", 1)
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], KEY in cookie["value"]) == (True, "Strict", False)
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("API key").wait_for()
        assert page.context.cookies() == []
    assert KEY not in server.log.read_text()


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_it_fits_small_screens_and_follows_the_colour_scheme(visit, server, width):
    grounds = []
    for scheme in ("light", "dark"):
        page = visit(server.url, viewport={"width": width, "height": 700}, color_scheme=scheme)
        page.set_input_files("#files", [_file("a-name-that-is-much-too-long-for-a-phone.jpg", photo(90, 60))])
        _cards(page, "done", 1)
        page.evaluate("document.getElementById('settings').open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds.append(sum(map(int, re.findall(r"\d+", colour)[:3])))
    assert grounds[0] > 600
    assert grounds[1] < 150


def test_every_control_is_reached_by_keys_and_shows_it(visit, server):
    page = visit(server.url)
    page.set_input_files("#files", [_file("a.jpg", photo(64, 64))])
    _cards(page, "done", 1)
    page.evaluate("document.activeElement.blur()")
    reached = {}
    for _ in range(25):
        page.keyboard.press("Tab")
        name, outlined = page.evaluate(
            """() => { const at = document.activeElement;
            const outline = (e) => e && getComputedStyle(e).outlineStyle !== 'none';
            const line = getComputedStyle(at.nextElementSibling ?? at, '::after').outlineStyle !== 'none';
            return [at.getAttribute('aria-label') || at.id || at.textContent.trim(),
                    outline(at) || outline(at.closest('label')) || line]; }"""
        )
        reached[name] = reached.get(name, False) or outlined
    wanted = ["option-size", "option-alpha_only", "save-as", "choose", "all", "clear", "Transparent", "Download: a.jpg"]
    wanted += ["Remove a.jpg", "a.jpg: how much of the picture before is seen"]
    assert not [name for name in wanted if not reached.get(name)], reached


def test_the_pages_matting_is_the_pipelines(visit, server):
    """The browser's own mathematics on the very arrays, beside the pipeline's."""
    rgb, alpha, _ = hair_over_ground(120, 160)
    small, guide = resize(alpha, (30, 40)), resize(rgb, (30, 40))
    page = visit(server.url)

    def rgba(picture: np.ndarray) -> list[int]:
        return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]).ravel().tolist()

    matte, cut, faint = page.evaluate(
        """async (lists) => {
        const { enlargeMatte, cutOut } = await import('/static/matting.js');
        const [small, guide, picture, alpha] = lists.map((list) => Uint8ClampedArray.from(list));
        const matte = enlargeMatte(small, 40, 30, guide, picture, 160, 120);
        const cut = picture.slice();
        cutOut(cut, alpha, 160, 120, picture, alpha, 160, 120);
        const faint = picture.map((value, i) => (i % 4 === 3 ? 128 : value));
        cutOut(faint, alpha, 160, 120, picture, alpha, 160, 120);
        return [[...matte], [...cut], [...faint]]; }""",
        [small.ravel().tolist(), rgba(guide), rgba(rgb), alpha.ravel().tolist()],
    )
    expected = upsample_alpha(small, (120, 160), rgb, guide).astype(int)
    difference = np.abs(np.reshape(matte, (120, 160)) - expected)
    assert difference.max() <= 6
    assert difference.mean() < 0.05
    for found, own in ((cut, None), (faint, np.full_like(alpha, 128))):
        expected = compose.cutout(rgb, alpha, own).astype(int)
        difference = np.abs(np.reshape(found, (120, 160, 4)) - expected)
        assert difference.mean() < 0.5
        assert difference[..., 3].max() == 0


def test_a_mesh_is_turned_by_keys_and_by_hand(visit):
    served, picture = served_faces(2)
    with inside(served) as url:
        page = visit(url)
        page.get_by_label("All faces").check()
        page.set_input_files("#files", [_file("two.png", picture, "image/png")])
        card = _cards(page, "done", 1)
        canvas = card.locator(".mesh canvas")

        def drawn() -> np.ndarray:
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            shown = np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB"))
            return shown[40:-70, 10:-10].astype(int)  # without the frame of the focus, the hint and the button

        def differs(first: np.ndarray, second: np.ndarray) -> bool:
            return bool((np.abs(first - second).max(axis=2) > 8).mean() > 0.005)

        canvas.focus()
        page.keyboard.press("Home")
        front = drawn()
        ground = np.abs(front - front[0, 0]).max(axis=2) < 8
        assert 0.1 < 1 - ground.mean() < 0.9, "the face fills a part of the view"
        for _ in range(6):
            page.keyboard.press("ArrowRight")
        turned = drawn()
        assert differs(front, turned)
        page.keyboard.press("Home")
        assert not differs(front, drawn())
        box = canvas.bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 90, middle[1] + 20, steps=4)
        page.mouse.up()
        assert differs(front, drawn())
        page.keyboard.press("Home")
        assert not differs(front, drawn())
        page.get_by_role("button", name="Shape only").click()
        assert differs(front, drawn())
        page.get_by_label("Which face of two.png").select_option("Face 2")
        assert differs(front, drawn())
        assert not page.is_visible("#save-as")
        name, archive = _saved(page, ".download")
        assert name == "two.face.zip"
        assert "face.2.glb" in zipfile.ZipFile(io.BytesIO(archive)).namelist()


def test_a_drawing_that_the_browser_takes_back_becomes_a_picture(visit):
    served, picture = served_faces(1)
    with inside(served) as url:
        page = visit(url)
        page.set_input_files("#files", [_file("one.png", picture, "image/png")])
        _cards(page, "done", 1)
        page.locator(".mesh canvas").evaluate(
            "(canvas) => canvas.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()"
        )
        page.get_by_role("img", name="one.png: face.preview.png").wait_for()


def test_where_there_is_no_mesh_the_texture_or_the_files_are_shown(visit):
    served, picture = served_faces(1)
    with inside(served) as url:
        page = visit(url)
        for output, wanted in (("uv", "canvas"), ("coeffs", ".names")):
            page.get_by_label("Output").select_option(output)
            page.set_input_files("#files", [_file(f"{output}.png", picture, "image/png")])
            page.locator(f'.card[data-state="done"]:has-text("{output}.png") .view {wanted}').wait_for()


@pytest.mark.parametrize(
    ("size", "useful", "options", "expected"),
    [
        ((4000, 3000), {"side": "long", "pixels": "size", "unless": {}}, {"size": "512"}, [512, 384, "useful"]),
        ((400, 300), {"side": "long", "pixels": "size", "unless": {}}, {"size": "512"}, [400, 300, None]),
        (
            (4000, 3000),
            {"side": "short", "pixels": 720, "unless": {"mode": "fine"}},
            {"mode": "fast"},
            [960, 720, "useful"],
        ),
        (
            (4000, 3000),
            {"side": "short", "pixels": 720, "unless": {"mode": "fine"}},
            {"mode": "fine"},
            [3464, 2598, "limit"],
        ),
        ((3000, 3000), None, {}, [3000, 3000, None]),
        ((9001, 1000), None, {}, [9000, 999, "limit"]),
    ],
)
def test_what_is_sent_is_what_the_model_uses_within_the_servers_limit(visit, server, size, useful, options, expected):
    page = visit(server.url)
    sent = page.evaluate(
        """async ([size, useful, options]) =>
        (await import('/static/sizes.js')).sizeToSend(...size, useful, options, 9)""",
        [size, useful, options],
    )
    assert sent == expected
