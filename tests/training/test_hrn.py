"""HRN's embedded networks: the chain that makes them at toy size, and what they find of faces they never saw."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from training.hrn import card, evaluate, train
from training.hrn.crops import Bank
from training.hrn.drawing import SIDE, Drawer
from training.hrn.embed import FOLDED, shipped
from training.hrn.fold import fold
from training.hrn.portraits import the_model
from training.hrn.tasks import TASKS
from trtkit.errors import Mistake
from trtkit.models.hrn.coefficients import join
from trtkit.models.hrn.networks.source import load_source
from trtkit.models.hrn.specs import NETWORKS
from trtkit.models.hrn.synthetic import portrait

EMBEDDED = evaluate.EMBEDDED


@pytest.fixture(scope="module")
def drawer():
    return Drawer("cpu")


def test_training_draws_the_faces_that_the_pipeline_knows(drawer):
    """The splats and the renderer of the pipeline agree on where a face is and how it looks."""
    face = portrait.random_face(np.random.default_rng(3))
    model, uv = the_model()
    wanted, points, _ = portrait.picture(model, uv, face, SIDE)
    patch = drawer.draw(torch.from_numpy(join(face)))
    assert np.abs(patch.points68[0].numpy() - points).max() < 0.3
    shown = patch.rgba[0, 3].numpy() == 255
    gap = np.abs(patch.rgba[0, :3].permute(1, 2, 0).numpy()[shown].astype(float) - wanted[shown])
    assert shown.mean() > 0.2
    assert gap.mean() < 3
    away = np.abs(wanted.astype(int) - 128).max(axis=-1) > 8
    assert (shown == away).mean() > 0.98


def test_every_network_is_trained_and_ships_in_a_form_that_loads(tmp_path):
    for name in TASKS:
        train.train(name, tmp_path, seconds=0.0, total=1.0, device="cpu", smoke=True, batch=2)
    train.collect(tmp_path, tmp_path / "hrn.safetensors")
    trained = load_file(tmp_path / "hrn.safetensors")
    assert {name.partition("/")[0] for name in trained} == set(TASKS) == {spec.name for spec in NETWORKS}
    for spec in NETWORKS:
        tensors = shipped(spec.name, trained)
        assert all(value.dtype in (torch.float16, torch.int64) for value in tensors.values())
        save_file(tensors, tmp_path / f"{spec.name}.safetensors")
        assert load_source(spec.name, tmp_path / f"{spec.name}.safetensors")


def test_training_goes_on_where_it_was(tmp_path):
    for _ in range(2):
        train.train("mid_net", tmp_path, seconds=0.0, total=1.0, device="cpu", smoke=True, batch=2)
    assert torch.load(tmp_path / "mid_net.pt", weights_only=True)["step"] == 2


def test_what_a_detector_sees_has_nothing_beyond_the_pictures_rim(drawer):
    """As find_faces.to_input lays a picture on the square: zeros around it, its middle in the middle."""
    torch.manual_seed(2)
    seen, boxes, _, real = TASKS["retinaface"]().sample(Bank(drawer, 8, 0), 8)
    rims = (seen.abs().sum(1) == 0).float()
    banded = (rims[:, 0].mean(1) == 1) | (rims[:, :, 0].mean(1) == 1)
    assert banded.any()
    assert (rims == rims.flip(1, 2)).all()
    middle = (boxes[real][:, :2] + boxes[real][:, 2:]) / 2
    assert ((middle > 0) & (middle < 512)).all()


def test_faces_are_drawn_anew_at_every_so_manyth_taking(drawer):
    bank = Bank(drawer, 8, 2, every=3)
    first = bank.patches.vector.clone()
    for taking in (1, 2, 3):
        bank.take(1)
        changed = (bank.patches.vector != first).any(1)
        assert changed.sum() == (2 if taking == 3 else 0)
    assert bank.behind(3, 64).shape == (3, 3, 64, 64)


@pytest.mark.parametrize("name", FOLDED)
def test_folding_changes_the_numbers_and_not_what_they_compute(name, drawer):
    torch.manual_seed(3)
    network = TASKS[name]().network.eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.2, 3)
    picture = torch.rand(1, 3, 64, 64)
    state = network.state_dict()
    folded = fold(state)
    with torch.no_grad():
        wanted = torch.cat([each.flatten() for each in network(picture)])
        network.load_state_dict(folded)
        found = torch.cat([each.flatten() for each in network(picture)])
    assert all((value == 32).all() for key, value in folded.items() if key.endswith(("bn1.weight", "bn3.weight")))
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_a_weight_beyond_half_precision_is_refused():
    with pytest.raises(OverflowError, match=r"fan/a is beyond FP16"):
        shipped("fan", {"fan/a": torch.tensor([1e6])})
    with pytest.raises(KeyError, match="no tensors of s3fd; trained are fan"):
        shipped("s3fd", {"fan/a": torch.zeros(1)})


@pytest.mark.parametrize("name", ["retinaface", "s3fd"])
def test_a_detector_that_says_the_truth_has_no_loss_of_boxes(name, drawer):
    """What training asks for is what the pipeline's decoding turns back into the boxes that were drawn."""
    from training.hrn.detection import anchor_targets
    from trtkit.models.hrn import anchors as decoding

    torch.manual_seed(1)
    task = TASKS[name]()
    bank = Bank(drawer, 8, 0)
    if name == "retinaface":
        _, boxes, _, real = task.sample(bank, 2)
        boxes, least = boxes / 512, 0.4
    else:
        _, box, shown = task.sample(bank, 4)
        boxes, real, least = box[:, None], shown[:, None], 0.35
    assert real.any()
    which, sure, _ = anchor_targets(boxes, real, task.anchors, least)
    for one, faces, numbers, taken in zip(real, boxes, which, sure, strict=True):
        assert set(numbers[taken].tolist()) <= set(torch.nonzero(one)[:, 0].tolist())
        for anchor, number in zip(task.anchors[taken], numbers[taken], strict=True):
            box = faces[number]
            middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
            offsets = torch.cat([(middle - anchor[:2]) / (0.1 * anchor[2:]), (size / anchor[2:]).log() / 0.2])
            found = decoding.decode(offsets[None].numpy(), anchor[None].numpy())[0]
            np.testing.assert_allclose(found, box.numpy(), atol=1e-4 * float(size.max()) + 1e-5)


@pytest.fixture(scope="module")
def chain():
    return evaluate.load()


@pytest.fixture(scope="module")
def found(chain):
    """The first ten of the card's portraits, five of which it lists."""
    return evaluate.compare(chain, 10)


def test_a_drawn_face_comes_back(found):
    """The goal of all of it, end to end: landmarks within 2 pixels at 224, vertices within 2 % of the face's width."""
    results, lost = found
    assert lost == 0
    assert len(results) == 10
    assert np.mean([result.landmarks for result in results]) < evaluate.LANDMARKS
    assert np.mean([result.vertices for result in results]) < evaluate.VERTICES


def test_a_faces_own_shape_is_found(found):
    """Nearer than the mean face turned rightly, which knows the pose and nothing of the shape."""
    results, _ = found
    assert np.mean([result.vertices for result in results]) < np.mean([result.mean_face for result in results])


def test_the_cards_figures_come_again(found):
    card = (EMBEDDED / "card.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", card, re.MULTILINE)
    assert [int(row[0]) for row in rows] == list(range(evaluate.LISTED))
    stated = [[float(cell) for cell in row[1:]] for row in rows]
    again = [result.row for result in found[0][: evaluate.LISTED]]
    np.testing.assert_allclose(again, stated, rtol=0.02, atol=0.02)


def test_the_card_names_the_files_that_ship():
    card = (EMBEDDED / "card.md").read_text()
    for spec in NETWORKS:
        content = (EMBEDDED / f"{spec.name}.safetensors").read_bytes()
        assert f"{spec.name}.safetensors: sha256 `{hashlib.sha256(content).hexdigest()}`" in card
    assert "not** the official" in card


def test_the_card_counts_the_parameters_that_ship():
    rows = card.rows((EMBEDDED / "card.md").read_text())
    for spec in NETWORKS:
        source = load_source(spec.name, EMBEDDED / f"{spec.name}.safetensors")
        assert f"| {sum(each.numel() for each in source.parameters()):,} |" in rows[spec.name]


def test_a_card_written_anew_keeps_what_it_says_of_the_networks_that_stay(tmp_path, monkeypatch):
    for spec in NETWORKS:
        (tmp_path / f"{spec.name}.safetensors").write_bytes(b"")
    (tmp_path / "card.md").write_text((EMBEDDED / "card.md").read_text())
    monkeypatch.setattr(evaluate, "load", lambda folder: None)  # the figures are tested on the card that ships
    monkeypatch.setattr(evaluate, "compare", lambda reconstruct: ([evaluate.Result(1, 2, 3, 4)], 0))
    monkeypatch.setattr(evaluate, "hard", lambda reconstruct: {})
    before = card.rows((EMBEDDED / "card.md").read_text())
    card.write(tmp_path, {"net_recon": 7})
    after = card.rows((tmp_path / "card.md").read_text())
    assert after.pop("net_recon").endswith("| 192 | 0.003 | 7 |")
    before.pop("net_recon")
    assert after == before


def test_all_files_in_the_package_stay_small():
    assert sum(path.stat().st_size for path in EMBEDDED.iterdir()) < 3.8e6


@pytest.mark.parametrize("name", ["no face", "1 pixel"])
def test_a_picture_without_a_face_is_one_sentence(name, chain):
    image, _ = evaluate.hard_pictures()[name]
    with pytest.raises(Mistake, match="shows no face that RetinaFace finds"):
        chain(image, all_faces=True)


@pytest.mark.parametrize(
    ("name", "pixels", "per_cent"), [("cut by the border", 4, 4), ("greyscale", 2.5, 3), ("ten faces", 3, 4)]
)
def test_hard_pictures_come_out_right(name, pixels, per_cent, chain):
    image, known = evaluate.hard_pictures()[name]
    faces = chain(image, all_faces=True)
    results = evaluate.match(faces, known)
    assert len(faces.vector) == len(results) == len(known)
    assert max(result.landmarks for result in results) < pixels
    assert max(result.vertices for result in results) < per_cent


@pytest.mark.parametrize("name", ["a face of 20 pixels", "a face that fills the picture"])
def test_a_face_at_the_edge_of_what_is_found_is_right_or_one_sentence(name, chain):
    image, known = evaluate.hard_pictures()[name]
    found = outcome(chain, image)
    if isinstance(found, str):
        assert found == "picture shows no face that RetinaFace finds; give a picture of a person"
        return
    (result,) = evaluate.match(found, known)
    assert np.isfinite(found.mid.world).all()
    assert result.landmarks < 8, "one pixel of the small face is eight at 224"


def outcome(chain, image):
    try:
        return chain(image, all_faces=True)
    except Mistake as refused:
        return str(refused)
