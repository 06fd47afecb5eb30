"""Which kind of picture the client wants back, from its Accept header (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Mapping

from trtkit.models.spec import Model
from trtkit.serve.refusal import Refused

MEDIA_TYPES = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg"}
"""Best first: PNG where the client does not care."""

FILES_TYPES = {"application/zip": ".zip", "model/gltf-binary": ".glb"}
"""The same for a result of several files: all of them, or the mesh."""

PROGRESS = "application/vnd.trtkit.progress"
"""Named beside the kinds of result: the answer tells its stages as they come, see progress.py."""


def kinds_of(model: Model) -> dict[str, str]:
    """Media type → file suffix of each kind of answer that a model's result can be."""
    return FILES_TYPES if model.several_files else MEDIA_TYPES


def negotiate(accept: str, kinds: Mapping[str, str] = MEDIA_TYPES) -> tuple[str, str]:
    """(media type, file suffix) of the best of `kinds` that `accept` allows. Raises Refused (406) listing them."""
    wanted = [part for part in _parts(accept) if part[0] != PROGRESS] or [("*/*", 1.0)]
    best: tuple[float, int, str] | None = None
    for place, media in enumerate(kinds):
        quality = _quality(media, wanted)
        if quality > 0 and (best is None or (quality, -place) > best[:2]):
            best = (quality, -place, media)
    if best is None:
        raise Refused(406, f"the answer can be {', '.join(kinds)}; the Accept header allows none of them")
    return best[2], kinds[best[2]]


def wants_progress(accept: str) -> bool:
    """Whether `accept` names the answer that tells its stages; a '*' does not."""
    return any(media == PROGRESS and quality > 0 for media, quality in _parts(accept))


def _quality(media: str, wanted: list[tuple[str, float]]) -> float:
    """The quality that the most specific matching part gives."""
    by_range = dict(reversed(wanted))
    for matching in (media, media.split("/")[0] + "/*", "*/*"):
        if matching in by_range:
            return by_range[matching]
    return 0.0


def _parts(accept: str) -> list[tuple[str, float]]:
    return [_part(part) for part in accept.split(",") if part.strip()]


def _part(text: str) -> tuple[str, float]:
    media, *parameters = (piece.strip() for piece in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return media.lower(), min(1.0, max(0.0, float(value)))
            except ValueError:
                return media.lower(), 0.0
    return media.lower(), 1.0
