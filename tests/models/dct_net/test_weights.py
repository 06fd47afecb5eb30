"""Which file --weights means, and what a state dict of the generator must be."""

from __future__ import annotations

import pytest

from trtkit import models
from trtkit.errors import Mistake
from trtkit.models.dct_net import STYLES
from trtkit.models.dct_net.weights import find_weights


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("background", "cartoon_bg.pb"),
        ("background", "cartoon_anime_bg.pb"),
        ("background", "background.safetensors"),
        ("head", "cartoon_h.pb"),
        ("head", "cartoon_anime_h.pb"),
        ("head", "head.safetensors"),
    ],
)
def test_every_known_name_is_found(tmp_path, network, name):
    (tmp_path / name).touch()
    assert find_weights(network, tmp_path) == tmp_path / name


def test_a_folder_without_the_networks_file_is_a_mistake(tmp_path):
    (tmp_path / "cartoon_bg.pb").touch()
    with pytest.raises(Mistake, match=r"no weights of dct_net/head; right would be cartoon_h\.pb"):
        find_weights("head", tmp_path)


def test_two_files_for_one_network_are_a_mistake(tmp_path):
    for name in ("cartoon_bg.pb", "cartoon_anime_bg.pb"):
        (tmp_path / name).touch()
    with pytest.raises(Mistake, match=r"cartoon_bg\.pb and cartoon_anime_bg\.pb"):
        find_weights("background", tmp_path)


def test_one_file_and_no_file_are_mistakes(tmp_path):
    (tmp_path / "cartoon_bg.pb").touch()
    with pytest.raises(Mistake, match="is one file"):
        find_weights("background", tmp_path / "cartoon_bg.pb")
    with pytest.raises(Mistake, match="does not exist"):
        find_weights("background", tmp_path / "nowhere")


def test_a_checkpoint_of_another_network_is_a_mistake(tmp_path):
    torch = pytest.importorskip("torch")
    from trtkit.models.dct_net.source import load_source

    torch.save({"encoder.weight": torch.zeros(3, 3)}, tmp_path / "background.pth")
    with pytest.raises(Mistake, match=r"'enter\.weight' is missing"):
        load_source("background", tmp_path / "background.pth")
    (tmp_path / "background.h5").touch()
    with pytest.raises(Mistake, match=r"suffix '\.h5'; right would be \.pb, "):
        load_source("background", tmp_path / "background.h5")


@pytest.mark.parametrize("style", STYLES)
def test_a_style_has_a_folder_of_its_own_and_nothing_in_the_package(style):
    model = models.get("dct_net").styled(style)
    assert model.folder == f"dct_net-{style}"
    with pytest.raises(Mistake, match=rf"trtkit export dct_net --style {style} --weights DIR"):
        model.embedded_onnx("head")


@pytest.mark.parametrize("verb", [("export", "dct_net"), ("build", "dct_net", "--gpu", "a10"), ("infer", "PICTURE")])
def test_a_style_without_weights_is_one_sentence_in_every_verb(trtkit, in_empty_folder, portrait, verb):
    arguments = [str(portrait) if word == "PICTURE" else word for word in verb]
    if verb[0] == "infer":
        arguments += ["--model", "dct_net"]
    answer = trtkit(*arguments, "--style", "anime")
    assert answer.code == 2
    *remarks, sentence = answer.err.splitlines()
    assert sentence.startswith("trtkit: no weights for style 'anime' of dct_net")
    assert remarks == (
        ["dct_net-anime: embedded weights; no official snapshot has been pulled"] if verb[0] == "build" else []
    )


def test_a_style_a_model_does_not_have_is_a_mistake(trtkit, in_empty_folder):
    answer = trtkit("export", "dct_net", "--style", "manga")
    assert answer.code == 2
    assert "--style manga is not one of dct_net's; its styles: anime, 3d" in answer.err
    answer = trtkit("export", "cv_unet", "--style", "anime")
    assert answer.code == 2
    assert "it has no styles" in answer.err
