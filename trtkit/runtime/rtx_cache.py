"""TensorRT-RTX's runtime cache on disk: beside the engine, one for each engine, GPU and driver."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from trtkit.errors import TrtkitError
from trtkit.files import write_whole
from trtkit.gpus import driver_version


@dataclass(frozen=True)
class CacheFile:
    """`path` holds the cache; FILE.json beside it how long the load without it took."""

    path: Path

    @classmethod
    def beside(cls, engine: Path, engine_sha256: str, gpu: str) -> CacheFile:
        """ENGINE.HASH.GPU.DRIVER.rtxcache: another engine under the same name, GPU or driver has another cache."""
        slug = re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")
        return cls(engine.with_name(f"{engine.name}.{engine_sha256[:12]}.{slug}.{driver_version()}.rtxcache"))

    def read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def write(self, content: bytes) -> None:
        """Keep it, if it is new; a folder that cannot be written to costs the next load its time, no more."""
        if content and content != self.read():
            with contextlib.suppress(TrtkitError):
                write_whole(self.path, content)

    def loaded(self, seconds: float, warm: bool) -> str:
        """The sentence about a load that took `seconds`; remembers a cold one for the next warm one's sentence."""
        record = self.path.with_name(self.path.name + ".json")
        if not warm:
            with contextlib.suppress(TrtkitError):
                write_whole(record, json.dumps({"cold_seconds": round(seconds, 3)}).encode())
            return f"loaded cold in {seconds:.2f} s; the next load uses {self.path.name}"
        cold = ""
        with contextlib.suppress(OSError, ValueError, KeyError):
            cold = f" (cold it took {json.loads(record.read_text())['cold_seconds']:.2f} s)"
        return f"loaded warm in {seconds:.2f} s{cold}"
