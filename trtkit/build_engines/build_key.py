"""Whether an engine has to be built again: a digest of everything that goes into it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trtkit import manifest
from trtkit.config import Profile
from trtkit.errors import TrtkitError


def build_key(
    *,
    onnx_sha256: str,
    builder: str,
    version: str,
    capability: str,
    profiles: Sequence[Profile],
    flags: Mapping[str, Any],
    precision: str,
) -> str:
    """sha256 of the canonical JSON of the arguments: equal inputs give equal keys, in any order of their keys."""
    parts = {
        "onnx_sha256": onnx_sha256,
        "builder": builder,
        "version": version,
        "capability": capability,
        "profiles": plain_profiles(profiles),
        "flags": dict(flags),
        "precision": precision,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def plain_profiles(profiles: Sequence[Profile]) -> list[dict[str, dict[str, list[int]]]]:
    """Profiles as the manifest keeps them: [{input: {min|opt|max: shape}}]."""
    return [{name: shapes.model_dump() for name, shapes in profile.items()} for profile in profiles]


def why_build(engine: Path, key: str) -> str | None:
    """Why `engine` has to be built, in a few words; None if it is there, whole, and made under `key`."""
    if not engine.exists():
        return "there was no engine yet"
    try:
        found = manifest.read_verified(engine)
    except TrtkitError:
        return "the engine that was there did not match its manifest"
    return None if found.build_key == key else "the ONNX file, the profiles or the builder had changed"
