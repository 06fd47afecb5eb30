"""The embedded network, as it ships, on a real photograph that training never saw; and its card tells the truth.

The card's figures come out again within 2 % (and the rounding of what is printed).
"""

import re

import pytest

from training.cv_unet import evaluate

CARD = evaluate.EMBEDDED.parent / "card.md"
IOU, ERROR = 0.96, 0.02


@pytest.fixture(scope="module")
def predict():
    return evaluate.load(evaluate.EMBEDDED)


@pytest.fixture(scope="module")
def astronaut(predict):
    return evaluate.astronaut(predict)


@pytest.mark.parametrize("size", evaluate.SIZES)
def test_cuts_out_the_astronaut(astronaut, size):
    at_size = {name: result for (name, at), result in astronaut.items() if at == size}
    assert len(at_size) == 10
    short = {name: result for name, result in at_size.items() if result.iou < IOU or result.error > ERROR}
    assert not short


@pytest.mark.parametrize("size", evaluate.SIZES)
def test_cuts_her_out_better_than_that_on_average(astronaut, size):
    """A floor under what has been reached."""
    at_size = [result for (_, at), result in astronaut.items() if at == size]
    assert sum(result.iou for result in at_size) / len(at_size) > 0.985
    assert min(result.iou for result in at_size) > 0.97
    assert sum(result.error for result in at_size) / len(at_size) < 0.013


def test_card_shows_the_astronaut_figures(astronaut):
    rows = dict(re.findall(r"^\| ([^|]+) \| (\d\.\d{3} / \d\.\d{3} .*) \|$", CARD.read_text(), re.MULTILINE))
    assert len(rows) == 10
    for name, row in rows.items():
        for size, cell in zip(evaluate.SIZES, row.split(" | "), strict=True):
            iou, error = map(float, cell.split(" / "))
            assert iou == pytest.approx(astronaut[name, size].iou, rel=0.02, abs=5e-4)
            assert error == pytest.approx(astronaut[name, size].error, rel=0.02, abs=5.1e-4)


def test_card_shows_the_synthetic_figures(predict):
    printed = re.search(r"^\| (\d+\.\d{3}) \| (\d+\.\d{5}) \| (\d+\.\d{4}) \|$", CARD.read_text(), re.MULTILINE)
    assert printed
    sad, mse, gradient = map(float, printed.groups())
    found = evaluate.synthetic(predict)
    assert sad == pytest.approx(found.sad, rel=0.02, abs=5e-4)
    assert mse == pytest.approx(found.mse, rel=0.02, abs=5e-6)
    assert gradient == pytest.approx(found.gradient, rel=0.02, abs=5e-5)
