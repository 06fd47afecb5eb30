"""`bench run` on the CPU: it measures, says what it measured, and its figures hang together. Nothing is timed here."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from trtkit.bench.chart import draw
from trtkit.bench.contenders import ALONE, OURS, PLAIN, RECIPE, pipelined
from trtkit.bench.run import Report, Settings, as_dict, bench_run, speedups
from trtkit.bench.run_table import render
from trtkit.bench.samples import LEAD_IN, Samples, sample
from trtkit.cli import app
from trtkit.errors import Mistake
from trtkit.report import benching


@pytest.fixture(scope="module")
def report(photo: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    root = tmp_path_factory.mktemp("artifacts")
    return bench_run(Settings(backend="cpu", batches=(1, 2), size=64, rounds=1, each=2, photo=photo, root=root))


def test_what_is_measured_is_named_with_the_shape_that_it_is_given(report):
    assert report.network == "matting, image 64x64x3"


def test_every_batch_size_has_every_contender(report):
    assert set(report.steps) == {1, 2}
    for found in report.steps.values():
        assert {OURS, PLAIN} <= set(found)
        assert ALONE not in found  # the CPU has no device-resident run
        assert all(len(samples.seconds) == 2 for samples in found.values())


def test_the_peers_compute_the_same_thing(report):
    assert report.agreement[PLAIN] == 0
    assert all(value <= 1 for value in report.agreement.values())


def test_the_json_is_whole_and_ratios_are_over_ours(report):
    figures = json.loads(json.dumps(as_dict(report)))
    for batch, found in report.steps.items():
        expected = found[PLAIN].p50 / found[OURS].p50
        assert figures["step_over_ours"][str(batch)][PLAIN] == pytest.approx(expected)
        assert set(speedups(report, batch)) == set(found) - {OURS}
    assert figures["images_a_second"]["1"].keys() == {"1"}, "the CPU has no slots"
    assert figures["files"][OURS]["stages"].keys() >= {"decode", "run", "encode"}


def test_whole_files_are_compared_within_each_round_and_say_how(report):
    figures = as_dict(report)
    assert report.files.taken == "2 pictures, 1 round, the network at 64x64"
    assert figures["files_taken"] == report.files.taken
    theirs, ours = (figures["files"][name]["seconds"] for name in (RECIPE, OURS))
    assert figures["recipe_over_ours_files"]["median"] == pytest.approx(theirs / ours)  # of one round


def test_the_tables_put_ratios_before_times_and_name_the_device(report):
    stream = io.StringIO()
    render(report, Console(file=stream, width=160))
    text = stream.getvalue()
    assert "on cpu: CPU" in text
    assert text.index("of ours") < text.index("p50 ms")
    assert "times the throughput of the articles' way" in text
    assert "File to file (2 pictures, 1 round, the network at 64x64): " in text


def test_differences_of_numbers_are_not_called_grey_levels(photo, tmp_path):
    numbers = bench_run(Settings("hrn", "cpu", batches=(1,), rounds=1, each=1, photo=photo, root=tmp_path))
    stream = io.StringIO()
    render(numbers, Console(file=stream, width=160))
    assert "worst difference from ours, output units: ONNX Runtime 0" in stream.getvalue()


def test_the_chart_is_a_picture_with_a_bar_for_each(report, tmp_path: Path):
    image = cv2.imdecode(np.frombuffer(draw(report), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1] == 1000
    assert (image != 255).any()


@pytest.mark.parametrize("no_faces", [False, True])
def test_dct_net_s_files_are_done_without_looking_for_faces_where_that_is_asked_for(photo, tmp_path, no_faces):
    asked = Settings("dct_net", "cpu", batches=(1,), size=64, rounds=1, each=1, photo=photo, root=tmp_path, peers=False)
    stages = bench_run(replace(asked, no_faces=no_faces)).files.runs[OURS].stages
    assert stages.keys() >= {"decode", "encode"}
    assert ("faces" in stages) is not no_faces


def test_slots_on_the_cpu_change_nothing_and_that_is_said(photo, tmp_path):
    asked = Settings(
        backend="cpu", batches=(1,), slots=2, size=64, rounds=1, each=1, photo=photo, root=tmp_path, peers=False
    )
    report = bench_run(asked)
    assert report.throughput[1].keys() == {1}
    assert "--slots changes nothing on the CPU, which runs one request at a time" in report.notes


@pytest.mark.parametrize("model", ["cv_unet", "hrn"])
def test_no_faces_for_a_model_without_heads_is_refused_before_anything_is_loaded(in_empty_folder, model):
    with pytest.raises(Mistake, match=f"^--no-faces is not an option of {model}, which has no network for heads; "):
        bench_run(Settings(model, "cpu", no_faces=True, photo=Path("gone.jpg")))


@pytest.mark.parametrize(("words", "batches"), [([], None), (["--batch", "8", "--batch", "1"], (8, 1))])
def test_the_command_tells_the_usual_batch_sizes_from_those_that_were_named(monkeypatch, words, batches):
    asked: list[Settings] = []
    monkeypatch.setattr(benching, "show_run", lambda settings, *_: asked.append(settings))
    assert CliRunner().invoke(app, ["bench", "run", *words]).exit_code == 0
    assert asked[0].batches == batches


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"each": 0}, {"batches": ()}, {"batches": (0,)}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(Mistake, match="must each be at least 1"):
        bench_run(Settings(backend="cpu", **wrong))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"photo": Path("gone.jpg")}, r"^gone\.jpg does not exist; check the name$"),
        ({"photo": Path()}, r"^\. is a folder, not an image"),
        ({"photo": Path("notes.txt")}, r"^notes\.txt is not an image"),
        ({"photo": Path("tiny.png")}, r"^--photo tiny\.png is 200x127; give one of at least 128x128$"),
        ({"weights": Path("gone.pth")}, r"^--weights gone\.pth does not exist; "),
        ({"weights": Path("notes.txt"), "peers": False}, r"^--weights and --no-peers exclude each other"),
    ],
)
def test_files_that_cannot_be_are_named_before_anything_is_loaded(in_empty_folder, wrong, sentence):
    Path("notes.txt").write_text("no picture")
    cv2.imwrite("tiny.png", np.zeros((127, 200, 3), np.uint8))
    with pytest.raises(Mistake, match=sentence):
        bench_run(Settings(backend="cpu", **wrong))


def test_samples_take_turns_and_the_first_round_does_not_count():
    order: list[str] = []

    def runner(name: str):
        def burst(times: int) -> list[float]:
            order.append(name)
            return [1.0 if len(order) > 2 else 99.0] * times

        return burst

    found = sample({"a": runner("a"), "b": runner("b")}, rounds=2, each=3)
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert found["a"].seconds == (1.0,) * 6


def test_every_burst_of_every_contender_leads_in_with_runs_that_do_not_count():
    order: list[str] = []

    def runner(name: str):
        def one() -> float:
            order.append(name)
            return float(len(order))

        return lambda times: [one() for _ in range(times)]

    found = sample({name: runner(name) for name in "abc"}, rounds=2, each=2)
    turns = "cba" + "abc" + "cba"
    whole = LEAD_IN + 2
    assert "".join(order) == "".join(name * whole for name in turns), "one burst at a time, in turn"
    for name in "abc":
        begins = [turn * whole for turn, who in enumerate(turns) if who == name and turn >= len("cba")]
        counted = [begin + LEAD_IN + run for begin in begins for run in (1, 2)]
        assert found[name].seconds == tuple(map(float, counted)), "the last two of each burst, in order"


def test_jitter_is_the_distance_of_p99_from_p50():
    assert Samples((1.0,) * 99 + (2.0,)).jitter == pytest.approx(0.01, abs=1e-6)


def test_pipelined_keeps_no_more_in_flight_than_asked():
    class Counting:
        def __init__(self) -> None:
            self.now = self.most = self.all = 0

        def submit(self, arrays):
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)
            return self

        def result(self):
            self.now -= 1

    backend = Counting()
    pipelined(backend, {}, 10, 3)  # type: ignore[arg-type]
    assert (backend.most, backend.all, backend.now) == (3, 10, 0)
