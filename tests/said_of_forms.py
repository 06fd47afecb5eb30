"""What the manifest of an ONNX form has to say beside its hashes, for tests that write one themselves."""

from __future__ import annotations

from typing import Any

CHECKS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "fp16": {"against_fp32": {"1x64x64": {"max": 1.0, "mean": 0.1}}, "rounded_to_half": {"max": 1.0, "mean": 0.1}},
    "int8": {"against_fp32": {"mae": 0.5, "sad_percent": 1.0}},
}
FLAGS: dict[str, dict[str, Any]] = {"fp32": {}, "fp16": {}, "int8": {"int8": ["conv"], "fp16": []}}
