"""`trtkit build`: options that do nothing, a block without INT8, an engine that is too large for its card."""

import json
import shutil

import pytest

from tests.small_matting import write
from trtkit import manifest
from trtkit.config import Config


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            "--precision fp16 --accept-loss",
            "--accept-loss is for INT8, and --precision fp16 loses nothing that way; leave it out",
        ),
        ("--precision fp32 --accept-loss", "--accept-loss is for INT8, and --precision fp32 loses nothing that way"),
        ("--precision fp32 --images gone", "--images gone is not a folder; name a folder of photographs"),
        ("--precision int8 --images gone", "--images gone is not a folder; name a folder of photographs"),
        ("--precision auto --images .", "--images . holds no photograph"),
        (
            "--precision fp32 --images photos",
            "--images does nothing beside --precision fp32: FP32 is checked by trtkit export; name the folder there",
        ),
    ],
)
def test_an_option_that_does_nothing_is_refused(trtkit, in_empty_folder, portrait, options, sentence):
    (in_empty_folder / "photos").mkdir()
    shutil.copy(portrait, in_empty_folder / "photos")
    answer = trtkit("build", "cv_unet", "--gpu", "h200", *options.split())
    assert answer.code == 2
    assert answer.err.startswith(f"trtkit: {sentence}")
    assert not (in_empty_folder / "artifacts").exists()


def test_a_model_without_int8_names_the_build_that_can_be(trtkit, in_empty_folder, small_config):
    raw = small_config.model_dump(by_alias=True)
    raw["models"]["cv_unet"]["networks"]["matting"]["precisions"] = ["fp16"]
    settings = write(in_empty_folder / "f.yaml", Config.model_validate(raw))
    answer = trtkit("build", "cv_unet", "--gpu", "a10", "--gpu", "l4", "--precision", "int8", "--config", settings)
    assert answer.code == 2
    assert answer.err.endswith(
        "engines.yaml states fp16 alone for it; build it in another precision, as in: "
        "trtkit build cv_unet --gpu a10 --gpu l4 --precision fp16\n"
    )


def test_an_engine_that_is_larger_than_the_card_s_memory_is_said_to_be(trtkit, built_matting, in_empty_folder):
    shutil.copytree(built_matting / "artifacts", "artifacts")
    command = ("build", "cv_unet", "--gpu", "a10")
    assert "GiB" not in trtkit(*command).err
    sidecar = manifest.path_of(in_empty_folder / "artifacts" / "cv_unet" / "matting.fp16.sm86.tensorrt-rtx.engine")
    raw = json.loads(sidecar.read_text())
    raw["made_for"]["memory_plan"] = {"activation_bytes": 25 << 30, "weights_bytes": 1 << 29}
    sidecar.write_text(json.dumps(raw))
    answer = trtkit(*command)
    assert answer.code == 0
    assert answer.err.splitlines()[-1] == (
        "note: cv_unet/matting needs 25.5 GiB at its profiles' largest, and a10 (NVIDIA A10) has 24 GiB; "
        "make max smaller under models.cv_unet in engines.yaml"
    )
