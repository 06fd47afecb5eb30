"""python -m tests.serve.shoot_page [FOLDER]: the pictures of the page in docs/serve.md, made anew (into docs/images).

Two photographs in the public domain and a drawn face, on the embedded networks and a real server, in a real Chromium.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.cbook
import numpy as np
from PIL import Image
from skimage import data

from trtkit.models.hrn.geometry import uv_map
from trtkit.models.hrn.synthetic import files, portrait

from .browser import chromium
from .server import started

DOCS = Path(__file__).parents[2] / "docs" / "images"
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


def pictures() -> list[dict[str, Any]]:
    """The astronaut enlarged to 12 megapixels with a sensor's noise, and Grace Hopper as matplotlib ships her."""
    astronaut = np.asarray(Image.fromarray(data.astronaut()).resize((3464, 3464), Image.Resampling.BICUBIC), np.int16)
    noisy = astronaut + np.random.default_rng(0).normal(0, 3, (3464, 3464, 1)).astype(np.int16)
    hopper = Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg"))
    return [
        _file("eileen-collins.jpg", Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), "JPEG"),
        _file("grace-hopper.png", hopper.convert("RGB"), "PNG"),
    ]


def drawn_face() -> dict[str, Any]:
    """The networks in the package know drawn faces alone."""
    model = files.face_model()
    uv = uv_map.rasterize(model.uvs, model.uv_triangles)
    image = np.full((420, 420, 3), 150, np.uint8)
    face = portrait.random_face(np.random.default_rng(1))
    image[60:360, 60:360], _, _ = portrait.picture(model, uv, face, 300)
    return _file("drawn-face.png", Image.fromarray(image), "PNG")


def _file(name: str, image: Image.Image, kind: str) -> dict[str, Any]:
    stream = io.BytesIO()
    image.save(stream, kind, quality=92)
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": stream.getvalue()}


def _done(page: Any, count: int) -> None:
    page.locator('.card[data-state="done"]').nth(count - 1).wait_for(timeout=120_000)


def shoot(browser: Any, url: str, folder: Path) -> None:
    given = pictures()

    def visit(size: dict[str, int], scheme: str) -> Any:
        touch = {"has_touch": True, "is_mobile": True} if size is PHONE else {}
        page = browser.new_context(viewport=size, color_scheme=scheme, **touch).new_page()
        page.goto(url)
        page.locator("#work").wait_for()
        return page

    def keep(page: Any, name: str) -> None:
        page.screenshot(path=folder / f"page-{name}.jpg", type="jpeg", quality=78)

    page = visit(DESKTOP, "light")
    keep(page, "empty")
    page.set_input_files("#files", given)
    _done(page, 2)
    keep(page, "desktop")

    page = visit(DESKTOP, "dark")
    page.get_by_label("Blue", exact=True).check()
    page.set_input_files("#files", given[:1])
    _done(page, 1)
    page.get_by_label("Portrait cartoon").check()
    page.set_input_files("#files", given[1:])
    _done(page, 2)
    keep(page, "desktop-dark")

    page = visit(DESKTOP, "light")
    page.get_by_label("3D face").check()
    page.set_input_files("#files", [drawn_face()])
    _done(page, 1)
    mesh = page.locator(".mesh canvas")
    mesh.focus()
    for _ in range(4):
        mesh.press("ArrowRight")
    mesh.blur()
    keep(page, "mesh")

    page = visit(PHONE, "light")
    keep(page, "phone-empty")
    page.set_input_files("#files", given[:1])
    _done(page, 1)
    keep(page, "phone")
    page = visit(PHONE, "dark")
    page.locator("#settings summary").click()
    keep(page, "phone-dark")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    with tempfile.TemporaryDirectory() as work, chromium() as browser:
        place = Path(work) / "cwd"
        place.mkdir()
        # Its artifacts folder is empty, so these are the networks in the package.
        with started(place, place, "dct_net", "hrn", "--time-limit", 120) as server:
            shoot(browser, server.url, folder)


if __name__ == "__main__":
    main()
