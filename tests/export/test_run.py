"""Exports of a real checkpoint on real photographs; the network is small, everything else is the real thing."""

import importlib.metadata
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from trtkit import artifacts, config, manifest, models
from trtkit.errors import CheckFailed, Mistake
from trtkit.export import run
from trtkit.export.parity import BATCHES, SIZES
from trtkit.models.cv_unet.network import ImageMatting
from trtkit.runtime.cpu import CpuBackend

MODEL = models.get("cv_unet")
SPEC = MODEL.network("matting")


@pytest.fixture(scope="module")
def exported(tmp_path_factory, checkpoint):
    root = tmp_path_factory.mktemp("artifacts")
    return {
        precision: run.export(MODEL, SPEC, precision, root, config.load(), checkpoint) for precision in ("fp32", "fp16")
    }


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_every_form_passes_the_checker_runs_in_onnxruntime_and_parses_in_tensorrt_rtx(exported, precision):
    path = exported[precision].path
    onnx.checker.check_model(onnx.load(path), full_check=True)
    with CpuBackend(path) as backend:
        assert backend.run({"image": np.zeros((2, 64, 96, 3), np.uint8)})["alpha"].shape == (2, 64, 96, 1)
    trt = pytest.importorskip("tensorrt_rtx_bindings")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(path.read_bytes()), [parser.get_error(i).desc() for i in range(parser.num_errors)]


def test_the_check_ran_at_three_sizes_and_two_batches_on_a_lively_alpha(exported, portrait_pixels):
    figures = exported["fp32"].manifest.came_out.checks["against_source"]
    assert set(figures) == {f"{n}x{h}x{w}" for h, w in SIZES for n in BATCHES}
    assert max(figure["max"] for figure in figures.values()) <= run.FP32_TOLERANCE
    with CpuBackend(exported["fp32"].path) as backend:
        alpha = backend.run(MODEL.sample_inputs("matting", [portrait_pixels], (256, 256)))["alpha"]
    assert alpha.std() > 10, "a constant alpha would pass any comparison"


def test_the_export_is_the_source_network(exported, small_unet, portrait_pixels):
    batch = MODEL.sample_inputs("matting", [portrait_pixels, portrait_pixels[:, ::-1]], (320, 192))
    with torch.inference_mode():
        wanted = ImageMatting(small_unet)(torch.from_numpy(batch["image"])).numpy()
    with CpuBackend(exported["fp32"].path) as backend:
        found = backend.run(batch)["alpha"]
    assert np.abs(wanted.astype(int) - found).max() <= 1


def test_axes_names_and_metadata_are_a_persons(exported):
    model = onnx.load(exported["fp32"].path)
    image = model.graph.input[0].type.tensor_type
    assert [dim.dim_param or dim.dim_value for dim in image.shape.dim] == ["N", "H", "W", 3]
    assert image.elem_type == onnx.TensorProto.UINT8
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert "unet.encoder.0.0/conv" in names
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    assert metadata["model"] == "cv_unet"
    assert metadata["weights_sha256"] == exported["fp32"].manifest.made_of.weights.sha256


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_nothing_of_the_exporting_machine_is_inside(exported, precision):
    content = exported[precision].path.read_bytes()
    assert b".py" not in content
    assert b"/home" not in content
    assert b"site-packages" not in content


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_two_exports_are_byte_identical(exported, precision, tmp_path, checkpoint):
    again = run.export(MODEL, SPEC, precision, tmp_path, config.load(), checkpoint)
    assert again.manifest.came_out.sha256 == exported[precision].manifest.came_out.sha256
    assert again.manifest.build_key == exported[precision].manifest.build_key


@pytest.fixture
def fp32(exported, tmp_path):
    """The FP32 form alone, copied under tmp_path."""
    path = artifacts.onnx_path(tmp_path, "cv_unet", "matting", "fp32")
    path.parent.mkdir()
    for source in (exported["fp32"].path, manifest.path_of(exported["fp32"].path)):
        shutil.copy(source, path.parent)
    return path


def test_what_is_up_to_date_is_not_made_again_and_force_makes_it(exported, fp32, tmp_path, checkpoint):
    second = run.export(MODEL, SPEC, "fp32", tmp_path, config.load(), checkpoint)
    forced = run.export(MODEL, SPEC, "fp32", tmp_path, config.load(), checkpoint, force=True)
    assert (exported["fp32"].made, second.made, forced.made) == (True, False, True)


def test_another_trtkit_exports_again_and_once(fp32, tmp_path, checkpoint, monkeypatch):
    monkeypatch.setattr(run, "__version__", "99.0.0")
    first, second = (run.export(MODEL, SPEC, "fp32", tmp_path, config.load(), checkpoint) for _ in range(2))
    assert (first.made, second.made) == (True, False)
    assert first.manifest.made_with.trtkit == "99.0.0"


@pytest.mark.parametrize("package", ["torch", "onnxscript", "onnx-ir"])
def test_what_another_version_of_an_exporter_wrote_is_not_up_to_date(exported, monkeypatch, package):
    """Other versions cannot be installed beside those here, so what the package index of this Python says is a mock."""
    path, here = exported["fp32"].path, importlib.metadata.version
    weights = exported["fp32"].manifest.made_of.weights.sha256
    assert run.up_to_date(path, run.fp32_key(weights)) is not None
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0" if name == package else here(name))
    assert run.up_to_date(path, run.fp32_key(weights)) is None


def test_what_is_up_to_date_is_found_so_without_torch(exported, fp32, tmp_path, checkpoint):
    """In a process of its own, which torch has never been imported into."""
    code = (
        "import sys; from pathlib import Path; from trtkit import config, models; from trtkit.export import run\n"
        "model = models.get('cv_unet')\n"
        "given = (model, model.network('matting'), 'fp32', Path(sys.argv[1]), config.load(), Path(sys.argv[2]))\n"
        "print(run.export(*given).made, {'torch', 'onnxscript', 'onnx_ir'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code, tmp_path, checkpoint], capture_output=True, text=True)
    assert told.stdout.strip() == "False set()", told.stderr


def test_a_damaged_artifact_is_made_again(fp32, tmp_path, checkpoint):
    fp32.write_bytes(fp32.read_bytes()[:-1])
    assert run.export(MODEL, SPEC, "fp32", tmp_path, config.load(), checkpoint).made


def test_other_weights_are_another_export(fp32, tmp_path, checkpoint):
    state = load_file(checkpoint)
    state["head.bias"] += 0.5
    save_file(state, tmp_path / "other.safetensors")
    assert run.export(MODEL, SPEC, "fp32", tmp_path, config.load(), tmp_path / "other.safetensors").made


def test_a_form_past_its_tolerance_is_not_kept(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setattr(run, "FP32_TOLERANCE", -1.0)
    with pytest.raises(CheckFailed, match=r"differs from its source network by .* nothing was kept"):
        run.export(MODEL, SPEC, "fp32", tmp_path, config.load(), checkpoint)
    assert list(tmp_path.rglob("*.onnx*")) == []


def test_the_embedded_network_needs_no_torch_and_is_what_torch_exports(tmp_path):
    unpacked = run.ensure(MODEL, SPEC, "fp32", tmp_path / "a", config.load())
    through_torch = run.export(MODEL, SPEC, "fp32", tmp_path / "b", config.load())
    assert unpacked.manifest.came_out.sha256 == through_torch.manifest.came_out.sha256


def test_a_build_starts_from_the_users_export_once_there_is_one(exported, fp32, tmp_path):
    assert run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load()).manifest == exported["fp32"].manifest
    assert manifest.read(run.ensure(MODEL, SPEC, "fp16", tmp_path, config.load()).path).made_of.weights.kind == "file"


BAD_CHECKPOINTS = {
    "missing": (lambda state: state.pop("head.weight"), r"tensor 'head\.weight' \[1, 4, 3, 3\] is missing"),
    "unknown": (
        lambda state: state.update(extra=torch.zeros(2)),
        r"tensor 'extra' \[2\] is not one of the network's",
    ),
    "shape": (
        lambda state: state.update({"head.weight": torch.zeros(1, 4, 5, 5)}),
        r"tensor 'head\.weight' has shape \[1, 4, 5, 5\], the network's is \[1, 4, 3, 3\]",
    ),
    "not a number": (
        lambda state: state["encoder.0.0.weight"][1].fill_(float("nan")),
        r"tensor 'encoder\.0\.0\.weight' has values that are no numbers \(NaN or infinity\)",
    ),
    "a part of no level": (
        lambda state: state.update({"encoder.stem.weight": torch.zeros(2)}),
        r"tensor 'encoder\.stem\.weight' \[2\] is not one of the network's",
    ),
    "other network": (
        lambda state: (state.clear(), state.update(conv=torch.zeros(3))),
        r"tensor 'encoder\.0\.0\.weight' is missing, so this is not a checkpoint of cv_unet's network "
        r"\(its first tensor is 'conv' \[3\]\)",
    ),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("case", list(BAD_CHECKPOINTS))
def test_a_wrong_checkpoint_is_named_by_its_first_wrong_tensor(tmp_path, checkpoint, case, suffix):
    change, sentence = BAD_CHECKPOINTS[case]
    state = load_file(checkpoint)
    change(state)
    path = tmp_path / f"wrong{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    with pytest.raises(Mistake, match=rf"--weights .*wrong\{suffix}: {sentence}"):
        run.export(MODEL, SPEC, "fp32", tmp_path / "out", config.load(), path)
    assert not (tmp_path / "out").exists()


def test_a_pth_is_the_same_network_as_the_safetensors(tmp_path, checkpoint, exported):
    path = tmp_path / "small.pth"
    torch.save({"state_dict": load_file(checkpoint)}, path)
    made = run.export(MODEL, SPEC, "fp32", tmp_path, config.load(), path)
    ours, theirs = (onnx.load(p).graph.initializer for p in (made.path, exported["fp32"].path))
    assert list(ours) == list(theirs)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.safetensors", b"hello", r"a\.safetensors is not a readable checkpoint"),
        ("a.pth", b"hello", r"a\.pth is not a readable checkpoint"),
        ("a.pb", b"hello", r"a\.pb has the suffix '\.pb'; right would be one of \.safetensors"),
        ("empty.pth", b"", r"empty\.pth is not a readable checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_one_sentence(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Mistake, match=sentence):
        run.export(MODEL, SPEC, "fp32", tmp_path / "out", config.load(), tmp_path / name)


def test_a_pth_that_would_execute_code_is_refused(tmp_path):
    torch.save({"state_dict": torch.nn.Linear(2, 2)}, tmp_path / "evil.pth")
    with pytest.raises(Mistake, match=r"evil\.pth is not a readable checkpoint"):
        run.export(MODEL, SPEC, "fp32", tmp_path / "out", config.load(), tmp_path / "evil.pth")


def test_images_that_are_not_there_are_named(tmp_path, checkpoint):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Mistake, match=r"--images .*empty holds no photograph"):
        run.export(MODEL, SPEC, "fp32", tmp_path, config.load(), checkpoint, tmp_path / "empty")
    with pytest.raises(Mistake, match=r"--images .*gone is not a folder"):
        run.export(MODEL, SPEC, "fp32", tmp_path, config.load(), checkpoint, tmp_path / "gone")


def test_the_users_own_photographs_are_checked_on(tmp_path, checkpoint, portrait):
    made = run.export(MODEL, SPEC, "fp32", tmp_path, config.load(), checkpoint, portrait.parent)
    assert made.manifest.came_out.checks["against_source"]


def test_photographs_that_are_named_are_checked_on_though_all_is_up_to_date(tmp_path, checkpoint, portrait):
    def made(precision, images=None):
        return run.export(MODEL, SPEC, precision, tmp_path, config.load(), checkpoint, images)

    assert made("fp16").made
    assert "photographs" not in made("fp16").manifest.came_out.checks
    (tmp_path / "mine").mkdir()
    shutil.copy(portrait, tmp_path / "mine")
    for precision in ("fp32", "fp16"):
        again = made(precision, tmp_path / "mine")
        assert again.made
        assert len(again.manifest.came_out.checks["photographs"]) == 64
        assert not made(precision, tmp_path / "mine").made
        assert not made(precision).made
    shutil.copy(portrait, tmp_path / "mine" / "another.jpg")
    assert made("fp16", tmp_path / "mine").made


def settings(**changes):
    """The package's settings with `changes` of cv_unet's network."""
    raw = config.load().model_dump(by_alias=True)
    raw["models"]["cv_unet"]["networks"]["matting"] |= changes
    return config.Config.model_validate(raw)


def test_fp16_that_is_up_to_date_is_held_against_the_tolerance_of_now(exported, tmp_path, checkpoint):
    shutil.copytree(exported["fp16"].path.parent, tmp_path / "cv_unet")
    strict = settings(tolerance={"fp16": 1e-9})
    with pytest.raises(CheckFailed, match=r"differs from FP32 by .* more than the tolerance of 1e-09 in engines\.yaml"):
        run.export(MODEL, SPEC, "fp16", tmp_path, strict, checkpoint)
    with pytest.raises(CheckFailed, match="more than the tolerance of 1e-09"):
        run.ensure(MODEL, SPEC, "fp16", tmp_path, strict)
    assert not run.export(MODEL, SPEC, "fp16", tmp_path, config.load(), checkpoint).made


def test_an_overflow_on_the_last_photograph_is_found_and_its_sentence_mends_it(tmp_path, checkpoint, small_unet):
    """The same function on weights of which the first layer's are large and the next one's small: on black pictures
    nothing overflows, on the white one that comes last it does."""
    state = load_file(checkpoint)
    state["encoder.0.0.weight"] *= 40000.0
    state["encoder.0.0.bias"] *= 40000.0
    state["encoder.0.2.weight"] /= 40000.0
    save_file(state, tmp_path / "large.safetensors")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(5):
        Image.new("RGB", (64, 64), (0, 0, 0) if number < 4 else (255, 255, 255)).save(folder / f"{number}.png")
    name = "models.cv_unet.networks.matting"
    with pytest.raises(
        CheckFailed, match=rf"leave it in FP32 with keep_fp32: \[.*\] under {name} in engines\.yaml"
    ) as told:
        run.export(MODEL, SPEC, "fp16", tmp_path, config.load(), tmp_path / "large.safetensors", folder)
    kept = str(told.value).partition("keep_fp32: [")[2].partition("]")[0].split(", ")
    for _ in range(3):  # each may hand on what is too large to the next
        try:
            made = run.export(
                MODEL, SPEC, "fp16", tmp_path, settings(keep_fp32=kept), tmp_path / "large.safetensors", folder
            )
            break
        except CheckFailed as error:
            kept += str(error).partition("keep_fp32: [")[2].partition("]")[0].split(", ")
    assert set(kept) <= set(made.manifest.made_with.flags["keep_fp32"])
    types = {value.name: value.type.tensor_type.elem_type for value in inferred(made.path).graph.value_info}
    first = next(node for node in onnx.load(made.path).graph.node if node.name == kept[0])
    assert types[first.output[0]] == onnx.TensorProto.FLOAT


def inferred(path):
    return onnx.shape_inference.infer_shapes(onnx.load(path))


def test_a_name_in_keep_fp32_that_no_node_has_is_a_mistake(tmp_path, checkpoint):
    key = r"engines\.yaml: key 'models\.cv_unet\.networks\.matting\.keep_fp32': no node is called 'nowhere'"
    with pytest.raises(Mistake, match=key):
        run.export(MODEL, SPEC, "fp16", tmp_path, settings(keep_fp32=["nowhere"]), checkpoint)


def test_an_embedded_form_that_lost_its_manifest_is_unpacked_again(tmp_path):
    """A process was killed between the two."""
    first = run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
    manifest.path_of(first.path).unlink()
    again = run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
    assert (again.made, again.manifest) == (True, first.manifest)
    manifest.path_of(first.path).unlink()
    first.path.write_bytes(b"the user's own")
    with pytest.raises(Mistake, match="has no manifest"):
        run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
