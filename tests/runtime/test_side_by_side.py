"""An FP16 and an INT8 engine side by side: which is taken, and how it is said. The machine is made up, and the engines'
bytes are nonsense (no machine of the tests can build and run both); manifests and records are real files."""

from __future__ import annotations

import hashlib

import pytest

from tests.said_of_forms import CHECKS, FLAGS
from trtkit import artifacts, config, manifest, models
from trtkit.calib import measured
from trtkit.calib.target import Target
from trtkit.runtime import cuda, engines, machine, select, tensorrt, tensorrt_rtx
from trtkit.runtime.cpu import CpuBackend
from trtkit.runtime.request import Opened, Request

from .toy_network import toy_network

MODEL = models.get("cv_unet")
SPEC = MODEL.network("matting")
VERSION = "10.16.1.11"
GOOD = {"mae": 0.5, "sad_percent": 1.0}
FORMS = {"fp16": "half", "int8": "eight"}
"""Precision → sha256 of the ONNX that its engine was built from."""


@pytest.fixture(autouse=True)
def l4(monkeypatch):
    """A machine with one L4 and with every library."""
    monkeypatch.setattr(machine, "local_capabilities", lambda: ("8.9",))
    for module in (machine, tensorrt, tensorrt_rtx):
        monkeypatch.setattr(module, "installed", lambda _: True)
    monkeypatch.setattr(cuda, "provider_missing", lambda: None)
    monkeypatch.setattr(tensorrt, "library_version", lambda: VERSION)
    monkeypatch.setattr(engines, "installed_versions", lambda: {"tensorrt": VERSION, "tensorrt-rtx": VERSION})


def put(root, precision, builder="tensorrt", version=VERSION, weights="a" * 64):
    path = artifacts.engine_path(root, MODEL.folder, SPEC.name, precision, "8.9", builder)
    content = f"not an engine, {precision}".encode()
    record = manifest.Manifest(
        kind="engine",
        model=MODEL.name,
        network=SPEC.name,
        precision=precision,
        made_of=manifest.MadeOf(
            weights=manifest.WeightsRecord(kind="file", sha256=weights), onnx_sha256=FORMS[precision]
        ),
        made_with=manifest.MadeWith(trtkit="0", tool=builder, version=version),
        made_for=manifest.MadeFor(compute_capability="8.9"),
        came_out=manifest.CameOut(sha256=hashlib.sha256(content).hexdigest(), size=len(content)),
        build_key="test",
    )
    manifest.publish(path, content, record)
    return path


def evaluated(root, speed=1.5, figures=GOOD, backend="tensorrt", capability="8.9", **forms):
    """Written where and as `trtkit evaluate` writes it."""
    onnx = {**FORMS, **forms}
    measured.keep(
        Target(MODEL, SPEC, root, config.load()).evaluation,
        measured.Record(
            backend=backend,
            device="NVIDIA L4",
            capability=capability,
            images=6,
            shape=[1, 512, 512, 3],
            rounds=9,
            forms={
                kind: measured.Form(onnx_sha256=sha256, figures=dict(figures), seconds=0.001)
                for kind, sha256 in onnx.items()
            },
            int8_over_fp16=speed and measured.Speed(median=speed, least=speed, greatest=speed),
        ),
    )


def request(root, precision=None, settings=None):
    return Request(MODEL, SPEC, root, 0, 1, settings or config.load(), precision)


def taken(root, backend="tensorrt", **options):
    """(precision of the engine that is taken, why)."""
    found = engines.find(request(root, **options), backend, VERSION)
    assert isinstance(found, engines.Found)
    return manifest.read(found.path).precision, found.why


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx"])
def test_int8_is_taken_where_it_was_measured_faster_and_close_enough(tmp_path, backend):
    for precision in FORMS:
        put(tmp_path, precision, backend)
    evaluated(tmp_path, backend=backend)
    said = "matting in INT8, which ran 1.50 x as fast as FP16 on NVIDIA L4"
    assert taken(tmp_path, backend) == ("int8", said)
    assert taken(tmp_path, backend, precision="fp16") == ("fp16", "")
    assert taken(tmp_path, backend, precision="int8") == ("int8", "")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"speed": 0.97}, "INT8 ran 0.97 x as fast on NVIDIA L4"),
        ({"figures": {"mae": 2.5, "sad_percent": 1.0}}, "INT8 has a mean error of 2.50 grey levels (at most 2)"),
        ({"backend": "cuda"}, None),
        ({"capability": "8.6"}, None),
        ({"int8": "of an earlier calibration"}, None),
        ({"fp16": "of an earlier export"}, None),
        ({"speed": None}, None),
    ],
)
def test_else_it_is_fp16_with_the_reason(tmp_path, record, reason):
    for precision in FORMS:
        put(tmp_path, precision)
    evaluated(tmp_path, **record)
    command = "trtkit evaluate cv_unet --precision fp16,int8 --backend tensorrt --images DIR --artifacts"
    reason = reason or f"these two engines were not measured side by side; do that with: {command} {tmp_path}"
    assert taken(tmp_path) == ("fp16", f"matting in FP16, not INT8: {reason}")


def test_int8_that_cannot_be_loaded_here_gives_way_to_fp16(tmp_path):
    put(tmp_path, "fp16")
    stale = put(tmp_path, "int8", version="10.9.0.34")
    evaluated(tmp_path)
    precision, why = taken(tmp_path)
    assert precision == "fp16"
    assert "was built for sm89 with tensorrt 10.9.0.34" in why
    assert why.endswith(f"run: trtkit build cv_unet --gpu sm89 --builder tensorrt --precision int8 --out {tmp_path}")
    sound = put(tmp_path, "int8")
    assert taken(tmp_path)[0] == "int8"
    sound.write_bytes(sound.read_bytes()[:-3])
    precision, why = taken(tmp_path)
    assert precision == "fp16"
    assert "is cut short" in why
    manifest.path_of(stale).unlink()
    assert "has no manifest" in taken(tmp_path)[1]


def test_an_engine_that_lies_alone_is_taken_without_a_word(tmp_path):
    evaluated(tmp_path, speed=0.5)
    put(tmp_path, "int8")
    assert taken(tmp_path) == ("int8", "")


def test_int8_that_engines_yaml_does_not_state_any_more_is_not_taken(tmp_path):
    for precision in FORMS:
        put(tmp_path, precision)
    evaluated(tmp_path)
    raw = config.load().model_dump(by_alias=True)
    raw["models"]["cv_unet"]["networks"]["matting"]["precisions"] = ["fp16"]
    settings = config.Config.model_validate(raw)
    said = "matting in FP16, not INT8: engines.yaml states no INT8 for it"
    assert taken(tmp_path, settings=settings) == ("fp16", said)


def test_damaged_records_keep_nobody_from_running(tmp_path):
    for precision in FORMS:
        put(tmp_path, precision)
    Target(MODEL, SPEC, tmp_path, config.load()).evaluation.write_text("{")
    precision, why = taken(tmp_path)
    assert precision == "fp16"
    assert why.endswith("delete it and run trtkit evaluate again")


@pytest.mark.parametrize(("module", "builder"), [(tensorrt, "tensorrt"), (tensorrt_rtx, "tensorrt-rtx")])
def test_what_a_backend_opens_is_what_was_found_and_the_reason_is_told(tmp_path, monkeypatch, module, builder):
    for precision in FORMS:
        put(tmp_path, precision, builder)
    evaluated(tmp_path, backend=builder)
    monkeypatch.setattr(module, "GpuBackend", lambda *given: None)  # no GPU here to open it on
    opened = module.load(request(tmp_path))
    assert opened.manifest.precision == "int8"
    assert opened.why == "matting in INT8, which ran 1.50 x as fast as FP16 on NVIDIA L4"


def test_the_reason_is_told_where_loads_are_told(tmp_path, monkeypatch):
    for precision in FORMS:
        put(tmp_path, precision)
    path = tmp_path / "opened.onnx"
    path.write_bytes(toy_network())
    record = manifest.read(artifacts.engine_path(tmp_path, MODEL.folder, SPEC.name, "int8", "8.9", "tensorrt"))
    # Stands in for a GPU: what opens is a network on the CPU.
    monkeypatch.setattr(tensorrt, "load", lambda _: Opened(CpuBackend(path), record, path, "in INT8, which is faster"))
    for backend in ("auto", "tensorrt"):
        loaded = select.load(MODEL, SPEC, tmp_path, backend)
        loaded.backend.close()
        assert loaded.why == "in INT8, which is faster"


def test_the_cuda_backend_stays_with_fp16_whatever_was_measured(tmp_path):
    evaluated(tmp_path, backend="cuda")
    for precision in ("fp32", "fp16", "int8"):
        path = artifacts.onnx_path(tmp_path, MODEL.folder, SPEC.name, precision)
        content = toy_network()
        record = manifest.Manifest(
            kind="onnx",
            model=MODEL.name,
            network=SPEC.name,
            precision=precision,
            made_of=manifest.MadeOf(weights=manifest.WeightsRecord(kind="file", sha256="a" * 64)),
            made_with=manifest.MadeWith(trtkit="0", tool="trtkit", version="0", flags=FLAGS[precision]),
            came_out=manifest.CameOut(
                sha256=hashlib.sha256(content).hexdigest(), size=len(content), checks=CHECKS[precision]
            ),
            build_key="test",
        )
        manifest.publish(path, content, record)
    found = cuda.onnx_file(request(tmp_path), half=True)
    assert found == artifacts.onnx_path(tmp_path, MODEL.folder, SPEC.name, "fp16")
