"""`bench host` on a small photograph: what the report holds. Nothing is asserted about time."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from trtkit.bench.host import as_dict, bench_host, render, sample_photograph, silhouette
from trtkit.errors import Mistake
from trtkit.models.imaging.decode import decode_bytes

STAGES = ["decode", "prepare", "upsample alpha", "compose", "encode"]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (600, 800, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def test_report(photo):
    report = bench_host(photo, rounds=2)
    assert (report.photo, report.size, report.rounds) == (str(photo), (600, 800), 2)
    assert [c.output for c in report.comparisons] == ["rgba", "alpha"]
    for comparison in report.comparisons:
        for side in (comparison.ours, comparison.usual):
            assert list(side.stages) == STAGES
            assert len(side.rounds) == 2
            assert sum(side.shares.values()) == pytest.approx(1)
        assert comparison.ours_bytes > 1000
        assert comparison.usual_bytes > 1000
        assert comparison.speedup.least <= comparison.speedup.median <= comparison.speedup.greatest
    known = json.loads(json.dumps(as_dict(report)))
    assert known["comparisons"][0]["speedup"]["median"] == report.comparisons[0].speedup.median
    console = Console(record=True, width=120, file=io.StringIO())
    render(report, console)
    text = console.export_text()
    assert "times as fast" in text
    assert text.index("whole") < text.index("decode") < text.index("encode")


def test_bad_photo_and_rounds(tmp_path, photo):
    with pytest.raises(Mistake, match=r"none\.jpg does not exist"):
        bench_host(tmp_path / "none.jpg")
    with pytest.raises(Mistake, match="--rounds is 0"):
        bench_host(photo, rounds=0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench", "host", "--photo", "gone.jpg", "--json"),
        ("bench", "run", "--photo", "gone.jpg", "--json"),
        ("bench", "run", "--photo", "gone.jpg", "--chart"),
        ("bench", "serve", "--photo", "gone.jpg", "--json"),
        ("bench", "serve", "--photo", "gone.jpg", "--chart"),
        ("build", "nobody", "--gpu", "a10", "--summary"),
    ],
    ids=" ".join,
)
def test_a_file_that_cannot_be_written_is_named_before_anything_is_measured(trtkit, in_empty_folder, arguments):
    (in_empty_folder / "file").write_text("a file")
    answer = trtkit(*arguments, "file/figures")
    assert answer.code == 2
    assert answer.err == "trtkit: file is a file, not a folder, so figures cannot be written there; name a folder\n"


def test_sample_photograph_has_the_size_asked_for():
    pytest.importorskip("skimage", reason="the sample photograph is scikit-image's")
    assert decode_bytes(sample_photograph((90, 120)), "sample").rgb.shape == (90, 120, 3)


def test_silhouette_has_solid_and_soft_parts():
    alpha = silhouette((384, 512))
    assert {0, 255} < set(alpha.flat)
    assert 0.2 < (alpha == 255).mean() < 0.6
