"""What a calibration depends on, by content: the same key means the same scales, and nothing else does."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from trtkit import __version__
from trtkit.calib import thresholds
from trtkit.calib.histogram import BINS
from trtkit.config import Method
from trtkit.models.spec import Model, NetworkSpec

FORM = 3
"""Raised when the same images would give another scales file."""

_LIBRARIES = ("numpy", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu")


class Key(BaseModel):
    """`images`: name → sha256; `preprocessing`: a fingerprint of what the model's own preprocessing makes of test
    cards, and of the networks that are a part of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    form: int
    onnx_sha256: str
    images: dict[str, str]
    size: tuple[int, int]
    preprocessing: str
    method: str
    parameters: dict[str, float]
    versions: dict[str, str]


def key_of(
    model: Model,
    spec: NetworkSpec,
    onnx_sha256: str,
    images: dict[str, str],
    size: tuple[int, int],
    method: Method,
    before: Mapping[str, str],
) -> Key:
    """The key as of now; reads neither torch nor ONNX Runtime. `before`: sha256 of the networks that run before it."""
    return Key(
        form=FORM,
        onnx_sha256=onnx_sha256,
        images=images,
        size=size,
        preprocessing=_fingerprint(model, spec, size, before),
        method=method,
        parameters={"bins": BINS, **thresholds.parameters(method)},
        versions=_versions(),
    )


def digest(key: Key) -> str:
    """sha256 of the key. Names of images do not count, only their contents and order."""
    parts = key.model_dump(mode="json") | {"images": list(key.images.values())}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def why_not_same(old: Key, new: Key) -> str | None:
    """Which part differs, for people, or None if the scales of `old` are those of `new`."""
    if digest(old) == digest(new):
        return None
    reasons = []
    if old.onnx_sha256 != new.onnx_sha256:
        reasons.append("the ONNX is another one")
    before, now = list(old.images.values()), list(new.images.values())
    if before != now:
        gone, come = len(set(before) - set(now)), len(set(now) - set(before))
        changed = f"{come} new, {gone} gone" if come or gone else "their order"
        reasons.append(f"the images changed ({changed})")
    if old.size != new.size:
        reasons.append(f"the network's input size was {_by(old.size)} and is {_by(new.size)}")
    if old.preprocessing != new.preprocessing and old.size == new.size:
        reasons.append("the preprocessing changed")
    if old.method != new.method:
        reasons.append(f"the method was {old.method} and is {new.method}")
    elif old.parameters != new.parameters:
        reasons.append(f"the parameters of {new.method} changed")
    for name in sorted({*old.versions, *new.versions}):
        was, found = old.versions.get(name, "absent"), new.versions.get(name, "absent")
        if was != found:
            reasons.append(f"{name} was {was} and is {found}")
    if old.form != new.form:
        reasons.append("trtkit calibrates in another way now")
    return ", ".join(reasons)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _fingerprint(model: Model, spec: NetworkSpec, size: tuple[int, int], before: Mapping[str, str]) -> str:
    """Two test cards, wide and tall, through the model's own preprocessing: of the network itself, or of those before
    it and what lies between."""
    y, x = np.mgrid[0:180, 0:260]
    card = np.stack([x * 37 % 256, y * 59 % 256, (x * y) // 7 % 256], axis=-1).astype(np.uint8)
    found = hashlib.sha256()
    for picture in (card, np.ascontiguousarray(card.transpose(1, 0, 2))):
        for network in before or (spec.name,):
            for name, array in sorted(model.sample_inputs(network, [picture], size).items()):
                found.update(f"{name} {array.dtype} {array.shape}".encode())
                found.update(np.ascontiguousarray(array).tobytes())
    for network, sha256 in before.items():
        found.update(f"{network} {sha256}".encode())
    if (studied := model.studied.get(spec.name)) is not None:
        found.update(studied.fingerprint(model.around))
    return found.hexdigest()


def _versions() -> dict[str, str]:
    found = {"trtkit": __version__}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
