"""`trtkit compare`: two pictures side by side, how far apart they are, and where."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trtkit.errors import Mistake
from trtkit.models.imaging import encode, quality
from trtkit.models.imaging.decode import Picture, check_readable, decode
from trtkit.models.imaging.side_by_side import difference, sheet
from trtkit.report.console import console, remarks

_BEHIND = 128.0


def show(first: Path, second: Path, out: Path | None, max_megapixels: float) -> None:
    """Print PSNR and SSIM of the pictures and write A, B and |A - B| to `out` (default: A's name + .compare.png).

    Raises Mistake for what is no file, for pictures of different sizes or smaller than SSIM's window, and for an `out`
    that would replace one of them.
    """
    for picture in (first, second):
        check_readable(picture)
    out = out or first.with_name(f"{first.stem}.compare.png")
    for picture in (first, second):
        # Not Path.resolve, which raises for a link that leads to itself.
        if os.path.realpath(out) == os.path.realpath(picture):
            raise Mistake(f"--out {out} would replace a picture it compares; name another file")
    a, b = (decode(path, limit_megapixels=max_megapixels) for path in (first, second))
    if a.size != b.size:
        raise Mistake(
            f"{first} is {a.size[1]}x{a.size[0]} and {second} is {b.size[1]}x{b.size[0]}; "
            "only pictures of one size can be compared"
        )
    if min(a.size) < quality.WINDOW:
        least = f"{quality.WINDOW}x{quality.WINDOW}"
        raise Mistake(f"{first} is {a.size[1]}x{a.size[0]}; SSIM needs pictures of at least {least}")
    x, y = _opaque(a), _opaque(b)
    apart = difference(x, y)
    panels = [
        (f"A: {first.name}", x),
        (f"B: {second.name}", y),
        (f"|A - B| x {apart.contrast}, at most {apart.worst} of 255", apart.shown),
    ]
    encode.write(out, sheet(panels))
    printer = console()
    if apart.worst == 0:
        printer.print(f"equal in every pixel: PSNR infinite, SSIM 1  {out}")
    else:
        share = float((apart.shown > 0).any(axis=-1).mean())
        printer.print(
            f"PSNR {quality.psnr(x, y):.2f} dB  SSIM {quality.ssim(x, y):.4f}  "
            f"at most {apart.worst} grey levels apart, {share:.2%} of the pixels differ  {out}"
        )
    if a.alpha is not None or b.alpha is not None:
        remarks().print("transparent parts were compared over mid grey")


def _opaque(picture: Picture) -> NDArray[np.uint8]:
    if picture.alpha is None:
        return picture.rgb
    share = picture.alpha[..., None].astype(np.float32) / 255
    mixed: NDArray[np.uint8] = np.rint(share * picture.rgb + (1 - share) * _BEHIND).astype(np.uint8)
    return mixed
