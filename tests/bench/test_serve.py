"""`bench serve` on a network that does nothing: it measures, and its figures hang together. Nothing is timed here."""

from __future__ import annotations

import io
import json

import cv2
import numpy as np
import pytest
from rich.console import Console

from trtkit.bench.samples import Samples
from trtkit.bench.serve import ALONE, SERVER, UNBATCHED, Report, Settings, as_dict, bench_serve
from trtkit.bench.serve_chart import draw
from trtkit.bench.serve_process import LoadGenerator, Spell, serving
from trtkit.bench.serve_table import render
from trtkit.errors import CheckFailed, Mistake

pytest.importorskip("starlette", reason="needs the 'serve' extra")

from tests.serve.tiny import photo, write_tiny


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory):
    return write_tiny(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two fronts"])
def report(root, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Report:
    picture = tmp_path_factory.mktemp("photo") / "a.jpg"
    picture.write_bytes(photo(90, 120))
    return bench_serve(
        Settings(
            backend="cpu",
            clients=4,
            requests=12,
            seconds=5,
            lone=3,
            rounds=2,
            edge=64,
            photo=picture,
            root=root,
            query="size=256",
            processes=request.param,
        )
    )


def test_every_round_has_every_contender(report):
    assert {name: len(found) for name, found in report.many.items()} == {ALONE: 2, SERVER: 2, UNBATCHED: 2}
    assert {name: len(samples.seconds) for name, samples in report.lone.items()} == {ALONE: 6, SERVER: 6}
    assert len(report.latency[SERVER].seconds) == 24
    assert (report.batch, set(report.own)) == (2, {1, 2})
    assert len(set(report.pictures)) == 4


def test_what_was_served_is_what_the_pipeline_gives(report):
    assert report.worst_difference == 0


def test_the_servers_own_counts_agree_with_the_load(report):
    assert sum(size * runs for size, runs in report.batches.items()) == 24
    assert set(report.batches) <= {1, 2}
    assert report.cores[SERVER] > report.cores["load generator"] > 0
    assert {"queue", "decode", "run", "encode"} <= set(report.stages)
    assert 0 < report.host_share < 1


def test_the_json_and_the_tables_put_ratios_first(report):
    figures = json.loads(json.dumps(as_dict(report)))
    assert figures["gain_from_batching"] == {"server": report.gain, "backend_alone": report.own_gain}
    assert list(figures).index("server_over_pipeline") < list(figures).index("pictures_a_second")
    stream = io.StringIO()
    render(report, Console(file=stream, width=200))
    text = stream.getvalue()
    assert "on cpu: CPU" in text
    assert "of the pipeline's own batched throughput" in text
    assert "gain from batching: server" in text
    assert "cores in use" in text
    assert ("the servers have 2 processes each for the host work" in text) == (report.settings.processes == 2)


def test_the_chart_shows_something(report):
    image = cv2.imdecode(np.frombuffer(draw(report), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1] == 1000
    assert (image != 255).any()


def test_ratios_are_taken_within_each_round():
    report = Report(Settings(), batch=4)
    report.many = {ALONE: [10.0, 20.0, 40.0], SERVER: [9.0, 19.0, 10.0], UNBATCHED: [3.0, 19.0, 5.0]}
    report.own = {1: [1.0, 2.0, 1.0], 4: [3.0, 3.0, 3.0]}
    report.lone = {ALONE: Samples((1.0, 2.0, 3.0)), SERVER: Samples((1.5, 2.5, 9.0))}
    report.batches = {1: 1, 4: 3}
    assert (report.of_pipeline, report.gain, report.own_gain) == (0.9, 2.0, 3.0)
    assert (report.overhead, report.mean_batch) == (0.5, 3.25)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"clients": 0}, "--clients is 0; right would be at least 1"),
        ({"processes": 0}, "--processes is 0; right would be at least 1"),
        ({"seconds": 0.0}, "--seconds is 0; right would be more than 0"),
        ({"query": "sise=3"}, "option 'sise' is not one of cv_unet's; its options: size, background, alpha_only"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(root, wrong, sentence):
    with pytest.raises(Mistake) as caught:
        bench_serve(Settings(backend="cpu", root=root, **wrong))
    assert str(caught.value) == sentence


def test_a_model_of_several_files_is_refused_by_name(tmp_path):
    with pytest.raises(Mistake, match="bench serve compares pictures, and hrn makes several files; name another model"):
        bench_serve(Settings(model="hrn", backend="cpu", root=tmp_path, weights="embedded"))


def test_a_photo_that_is_not_there_is_named(root, tmp_path):
    with pytest.raises(Mistake, match=r"--photo .*none\.jpg cannot be read \(No such file"):
        bench_serve(Settings(backend="cpu", root=root, photo=tmp_path / "none.jpg"))


def test_a_server_that_does_not_start_says_why(tmp_path):
    with (
        pytest.raises(CheckFailed, match="the server did not start: trtkit: model 'yolo' is not known"),
        serving(["yolo"]),
    ):
        raise AssertionError("it started")


def test_a_request_that_is_not_answered_with_a_picture_ends_the_bench(root, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with serving(["cv_unet", "--backend", "cpu", "--artifacts", str(root)]) as server, LoadGenerator() as load:
        spell = Spell(server.port, "/v1/cv_unet", (str(tmp_path / "a.jpg"),), 2, 5, 10.0)
        with pytest.raises(CheckFailed, match=r"of 5 requests not all .* 5 times 400; .* is not an image that can be"):
            load.run(spell)
        with pytest.raises(CheckFailed, match="the server answers 404 to a photograph: model 'x' is not served here"):
            server.picture("/v1/x", b"")
