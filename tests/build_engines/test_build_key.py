from __future__ import annotations

import subprocess
import sys

import pytest

from trtkit.build_engines.build_key import build_key, why_build
from trtkit.config import ShapeRange

SHAPES = ShapeRange(min=[1, 64, 64, 3], opt=[1, 64, 64, 3], max=[2, 128, 128, 3])
PARTS = {
    "onnx_sha256": "a" * 64,
    "builder": "tensorrt-rtx",
    "version": "1.7.1.116",
    "capability": "8.6",
    "profiles": [{"image": SHAPES, "mask": SHAPES}],
    "flags": {"strongly_typed": True, "workspace_bytes": 1},
    "precision": "fp16",
}


def test_the_key_is_the_same_in_another_process_and_another_order():
    script = (
        "from trtkit.build_engines.build_key import build_key\n"
        "from trtkit.config import ShapeRange\n"
        f"shapes = ShapeRange.model_validate({SHAPES.model_dump()!r})\n"
        f"parts = { ({k: v for k, v in PARTS.items() if k not in ('profiles', 'flags')})!r}\n"
        "print(build_key(profiles=[{'mask': shapes, 'image': shapes}],"
        " flags={'workspace_bytes': 1, 'strongly_typed': True}, **parts))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == build_key(**PARTS)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("onnx_sha256", "b" * 64),
        ("builder", "tensorrt"),
        ("version", "1.7.1.117"),
        ("capability", "8.9"),
        ("profiles", [{"image": SHAPES}]),
        ("flags", {"strongly_typed": True, "workspace_bytes": 2}),
        ("precision", "int8"),
    ],
)
def test_every_part_changes_the_key(part, other):
    assert build_key(**{**PARTS, part: other}) != build_key(**PARTS)


def test_an_absent_engine_has_to_be_built(tmp_path):
    assert why_build(tmp_path / "net.engine", "key") == "there was no engine yet"
