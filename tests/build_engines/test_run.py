"""build_engine from ONNX to published file, with real TensorRT-RTX builds."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.said_of_forms import CHECKS
from trtkit import manifest
from trtkit.build_engines import run
from trtkit.build_engines.run import Outcome, build_engine, build_engines
from trtkit.build_engines.select import choose
from trtkit.config import ShapeRange
from trtkit.errors import CheckFailed, Mistake

from .conftest import PROFILES
from .networks import image_network

pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX: pip install 'trtkit[rtx]'")


@pytest.fixture
def build(tmp_path, config, write_onnx):
    """build(precision='fp16', gpu='a10', **options) → Outcome, from the ONNX file of that precision."""

    def run(precision: str = "fp16", gpu: str = "a10", **options) -> Outcome:
        onnx = options.pop("onnx", None) or write_onnx(precision)
        given = {"builder": "tensorrt-rtx", "config": config, **options}
        return build_engine(
            model="toy", network="net", precision=precision, gpu_name=gpu, onnx=onnx, root=tmp_path, **given
        )

    return run


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "toy").iterdir()}


def test_an_engine_is_published_with_a_whole_manifest(tmp_path, build, write_onnx):
    outcome = build()
    assert outcome.state == "built"
    assert outcome.path == tmp_path / "toy" / "net.fp16.sm86.tensorrt-rtx.engine"
    made = manifest.read_verified(outcome.path)
    assert made == outcome.manifest
    source = manifest.read(tmp_path / "toy" / "net.fp16.onnx")
    assert made.made_of.onnx_sha256 == source.came_out.sha256
    assert made.made_of.weights == source.made_of.weights
    assert (made.made_with.tool, made.made_for.compute_capability) == ("tensorrt-rtx", "8.6")
    assert made.made_for.profiles == PROFILES
    assert made.made_for.memory_plan is not None
    assert made.came_out.precision_share is not None
    assert made.came_out.checks == CHECKS["fp16"]
    assert made.executed == "no"
    assert files(tmp_path) == {
        "net.fp16.onnx",
        "net.fp16.onnx.json",
        "net.fp16.sm86.tensorrt-rtx.engine",
        "net.fp16.sm86.tensorrt-rtx.engine.json",
    }
    assert "3 are Half" in outcome.sentence


def test_an_int8_engine_keeps_the_calibration_s_hash(build):
    made = build("int8").manifest
    assert made.made_of.calibration_sha256 == "1" * 64
    assert made.came_out.precision_share.int8 == 3


def test_an_engine_whose_inputs_have_not_changed_is_not_built_again(build):
    first = build().path.read_bytes()
    again = build()
    assert again.state == "up to date"
    assert again.path.read_bytes() == first


def test_the_up_to_date_answer_imports_neither_onnx_nor_tensorrt(tmp_path, build, config):
    onnx = tmp_path / "toy" / "net.fp16.onnx"
    build()
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from trtkit.build_engines.run import build_engine\n"
        "from trtkit.config import Config\n"
        f"config = Config.model_validate({config.model_dump(by_alias=True)!r})\n"
        "outcome = build_engine(model='toy', network='net', precision='fp16', gpu_name='a10', config=config,\n"
        f"    onnx=Path({str(onnx)!r}), root=Path({str(tmp_path)!r}), builder='tensorrt-rtx')\n"
        "loaded = [m for m in sys.modules if m.partition('.')[0] in\n"
        "    ('onnx', 'onnxruntime', 'torch', 'numpy', 'tensorrt', 'tensorrt_rtx', 'tensorrt_rtx_bindings')]\n"
        "print(outcome.state, loaded)\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "up to date []"


@pytest.mark.parametrize("change", ["onnx", "profiles"])
def test_a_changed_input_is_built_again(build, write_onnx, config, change):
    before = build().manifest
    if change == "onnx":
        after = build(onnx=write_onnx("fp16", image_network("fp16", convolutions=2)))
    else:
        block = (
            config.models["toy"]
            .networks["net"]
            .model_copy(
                update={"profiles": [{"image": ShapeRange(min=[1, 32, 32, 3], opt=[1, 64, 64, 3], max=[1, 64, 64, 3])}]}
            )
        )
        models = {"toy": config.models["toy"].model_copy(update={"networks": {"net": block}})}
        after = build(config=config.model_copy(update={"models": models}))
    assert after.state == "built"
    assert after.manifest.build_key != before.build_key


def test_force_builds_what_is_up_to_date(build):
    build()
    assert build(force=True).state == "built"


def shorten(engine: Path) -> None:
    engine.write_bytes(engine.read_bytes()[:-1000])


def flip_a_bit(engine: Path) -> None:
    content = bytearray(engine.read_bytes())
    content[len(content) // 2] ^= 1
    engine.write_bytes(bytes(content))


def lose_the_manifest(engine: Path) -> None:
    manifest.path_of(engine).unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [(shorten, "cut short"), (flip_a_bit, "damaged or swapped"), (lose_the_manifest, "has no manifest")],
)
def test_a_damaged_engine_is_found_and_built_again(build, damage, words):
    engine = build().path
    damage(engine)
    with pytest.raises((CheckFailed, Mistake), match=words):
        manifest.read_verified(engine)
    assert build().state == "built"
    manifest.read_verified(engine)


def test_engines_that_changed_places_are_found(build):
    a10, l4 = build().path, build(gpu="l4").path
    held = a10.read_bytes()
    a10.write_bytes(l4.read_bytes())
    l4.write_bytes(held)
    for engine in (a10, l4):
        with pytest.raises(CheckFailed, match="toy --gpu sm"):
            manifest.read_verified(engine)


def test_two_gpus_of_one_capability_share_one_file_even_by_force(tmp_path, write_onnx, config):
    onnx = write_onnx("fp16")
    for force in (False, True):
        outcomes = build_engines(
            model="toy",
            network="net",
            precision="fp16",
            gpu_names=["a10", "rtx3090", "l4"],
            onnx=onnx,
            config=config,
            root=tmp_path,
            builder="tensorrt-rtx",
            force=force,
        )
        states = [outcome.state for outcome in outcomes]
        assert states == ["built", "up to date", "built"]
        assert outcomes[0].path == outcomes[1].path != outcomes[2].path


@pytest.mark.parametrize("gpu", ["v100", "h200"])
def test_a_gpu_without_an_engine_gets_the_onnx_file_and_its_manifest(build, write_onnx, monkeypatch, gpu):
    monkeypatch.setattr("trtkit.build_engines.tensorrt.local_capabilities", lambda: ())
    outcome = build(gpu=gpu, builder="auto")
    assert outcome.state == "served by onnxruntime"
    assert outcome.path.name == "net.fp16.onnx"
    assert outcome.manifest == manifest.read_verified(outcome.path)
    assert f"{gpu} ({gpu.upper()}) is served by the ONNX file itself on onnxruntime-gpu" in outcome.sentence


def test_an_fp32_graph_that_calls_itself_fp16_leaves_no_engine(tmp_path, build, write_onnx):
    onnx = write_onnx("fp16", image_network("fp32"))
    with pytest.raises(CheckFailed, match=r"0 of 3 compute layers \(0.0%\) are Half"):
        build(onnx=onnx)
    assert files(tmp_path) == {"net.fp16.onnx", "net.fp16.onnx.json"}


def test_a_failed_build_leaves_the_older_engine_as_it_was(build, write_onnx):
    older = build()
    content, record = older.path.read_bytes(), manifest.path_of(older.path).read_bytes()
    onnx = write_onnx("fp16", image_network("fp32"))
    with pytest.raises(CheckFailed):
        build(onnx=onnx)
    assert (older.path.read_bytes(), manifest.path_of(older.path).read_bytes()) == (content, record)


def test_a_file_that_is_written_anew_meanwhile_makes_no_engine_of_another_s_name(build, write_onnx, monkeypatch):
    """Another export ends between the look at the manifest and the build."""
    path, other = write_onnx("fp16"), image_network("fp16") + b"\x32\x00"  # one more empty field: other bytes

    def overtaken(*given):
        write_onnx("fp16", other)
        return choose(*given)

    monkeypatch.setattr(run, "choose", overtaken)
    with pytest.raises(CheckFailed, match=r"net\.fp16\.onnx was written anew while this command used it; run it again"):
        build(onnx=path)
    assert not list(path.parent.glob("*.engine*"))
    monkeypatch.undo()
    assert build(onnx=path).manifest.made_of.onnx_sha256 == hashlib.sha256(other).hexdigest()


def test_a_damaged_onnx_file_is_refused_before_the_build(build, write_onnx):
    onnx = write_onnx("fp16")
    flip_a_bit(onnx)
    with pytest.raises(CheckFailed, match=r"net.fp16.onnx is not the file its manifest describes"):
        build(onnx=onnx)


def test_the_onnx_file_of_another_precision_is_refused(build, write_onnx):
    with pytest.raises(Mistake, match=r"needed is the fp16 onnx file of toy/net"):
        build("fp16", onnx=write_onnx("int8"))


def test_the_manifest_s_key_is_the_same_from_run_to_run(build):
    assert build().manifest.build_key == build(force=True).manifest.build_key


def test_a_manifest_is_json_that_people_can_read(build):
    text = manifest.path_of(build().path).read_text()
    assert json.loads(text)["made_for"]["compute_capability"] == "8.6"
