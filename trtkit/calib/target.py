"""One network under one artifacts folder: what every step of a calibration is about, and where its files lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from trtkit import artifacts, manifest
from trtkit.calib import measured
from trtkit.calib.drawing import COUNT
from trtkit.calib.equalize import equalize
from trtkit.calib.placement import COMPUTE
from trtkit.config import Config, NetworkConfig
from trtkit.errors import Mistake
from trtkit.export.half import is_kept
from trtkit.export.prepared import Exported
from trtkit.export.run import ensure
from trtkit.models.spec import Model, NetworkSpec
from trtkit.models.studied import Studied


@dataclass(frozen=True)
class Target:
    model: Model
    spec: NetworkSpec
    root: Path
    config: Config

    @property
    def name(self) -> str:
        """MODEL/NETWORK, for people."""
        return f"{self.model.folder}/{self.spec.name}"

    @cached_property
    def settings(self) -> NetworkConfig:
        return self.config.network(self.model.name, self.spec.name)

    @cached_property
    def exact(self) -> Exported:
        """The FP32 ONNX under the root; the embedded one is unpacked there first."""
        return ensure(self.model, self.spec, "fp32", self.root, self.config)

    @cached_property
    def graph(self) -> ModelProto:
        """The FP32 graph, read when it is first needed: what is up to date never needs it. Raises CheckFailed if other
        bytes than `exact` lie there by then."""
        return onnx.load_from_string(manifest.content_of(self.exact.path, self.exact.manifest))

    @cached_property
    def equalized(self) -> ModelProto:
        """The same function on weights that quantize better: what is calibrated and quantized."""
        return equalize(self.graph)

    @cached_property
    def blocked(self) -> list[str]:
        """What engines.yaml keeps out of INT8: its own list, and the convolutions of what is to stay in FP32."""
        kept = set(self.settings.keep_fp32)
        convolutions = [node.name for node in self.graph.graph.node if node.op_type in COMPUTE and is_kept(node, kept)]
        return sorted({*self.settings.int8.keep_fp16, *convolutions})

    @property
    def studied(self) -> Studied | None:
        """How the model itself feeds and judges it, where pictures and grey levels do not do."""
        return self.model.studied.get(self.spec.name)

    @cached_property
    def before(self) -> dict[str, Exported]:
        """The FP32 ONNX of the networks that run before it, where it sees what they find."""
        names = self.studied.before if self.studied is not None else ()
        return {name: ensure(self.model, self.model.network(name), "fp32", self.root, self.config) for name in names}

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the first profile's optimum, or the network's own where they are fixed. Raises Mistake
        for a profile without the network's image."""
        image = self.spec.inputs[0]
        if not {"H", "W"} & set(image.dynamic_axes.values()):
            return int(image.shape[1]), int(image.shape[2])
        found = self.settings.profiles[0].get(image.name)
        if found is None or len(found.opt) != len(image.shape):
            raise Mistake(
                f"engines.yaml: models.{self.model.name}.networks.{self.spec.name}.profiles.0 has no shapes of "
                f"'{image.name}', the input of {self.name}, with {len(image.shape)} axes; add its min, opt and max"
            )
        return found.opt[1], found.opt[2]

    @property
    def scales(self) -> Path:
        return self._file("scales.json")

    @property
    def costs(self) -> Path:
        return self._file("sensitivity.json")

    @property
    def chart(self) -> Path:
        return self._file("sensitivity.png")

    @property
    def evaluation(self) -> Path:
        return measured.path_of(self.root, self.model.folder, self.spec.name)

    @property
    def worst_picture(self) -> Path:
        return self._file("worst.png")

    def onnx(self, precision: str) -> Path:
        return artifacts.onnx_path(self.root, self.model.folder, self.spec.name, precision)

    @property
    def calibrate_command(self) -> str:
        """The very command that calibrates it, as it was calibrated if it was."""
        return self._calibrating(len(self._done.get("worst", [])))

    @property
    def keep_more_command(self) -> str:
        """The same with two convolutions more in FP16 than are there for being the dearest."""
        return self._calibrating(len(self._done.get("worst", [])) + 2)

    @property
    def _done(self) -> dict[str, Any]:
        """What the INT8 form there says of its calibration."""
        return manifest.flags_of(self.onnx("int8"))

    def _calibrating(self, keep: int) -> str:
        done = self._done
        drawn = self.exact.manifest.made_of.weights.kind == "embedded" and done.get("image_source", "drawn") == "drawn"
        method = done.get("method", self.settings.int8.method)
        words = [
            *([] if drawn else ["--images", "DIR"]),
            *(["--method", method] if method != self.settings.int8.method else []),
            *(["--limit", str(done["images"])] if drawn and done.get("images", COUNT) != COUNT else []),
            *(["--keep-fp16", str(keep)] if keep else []),
        ]
        return " ".join(["trtkit calibrate", self.model.called, *words]) + artifacts.at_root(self.root)

    def _file(self, ending: str) -> Path:
        return self.root / self.model.folder / f"{self.spec.name}.{ending}"
