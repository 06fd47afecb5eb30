"""Results on stdout, everything else on stderr: what a script that reads the one or the other gets. As processes of
their own, since libraries write past Python's streams."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
import typer.main
from PIL import Image

from trtkit import cli


@pytest.fixture
def streams(in_empty_folder, portrait):
    """`trtkit ARGS…` beside p.jpg, broken.jpg and half.png (half transparent) → (exit code, lines out, lines err)."""
    shutil.copy(portrait, "p.jpg")
    (in_empty_folder / "broken.jpg").write_bytes(b"not a picture")
    with Image.open("p.jpg") as image:
        image.putalpha(128)
        image.save("half.png")

    def run(*arguments: str) -> tuple[int, list[str], list[str]]:
        command = [sys.executable, "-m", "trtkit.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return run


PLACE = "cv_unet: embedded weights; no official snapshot"
CASES = {
    "one picture": (
        ("infer", "p.jpg", "-o", "out.png"),
        0,
        [r"out\.png  decode .* total \d+ ms"],
        [PLACE, "loaded in"],
    ),
    "a picture that fails": (("infer", "broken.jpg"), 2, [], [PLACE, "failed: broken.jpg is not an image"]),
    "one of two": (
        ("infer", "broken.jpg", "p.jpg", "-o", "cut"),
        2,
        [r"1 of 2 pictures written to cut, .*"],
        [PLACE, "failed: broken.jpg is not an image"],
    ),
    "an export": (("export", "cv_unet"), 0, [r"artifacts/cv_unet/matting\.fp32\.onnx  .*"], [PLACE]),
    "a comparison": (("compare", "p.jpg", "half.png", "-o", "s.png"), 0, [r"PSNR .*  s\.png"], ["transparent parts"]),
    "a package": (
        ("package", "triton", "cv_unet", "--gpu", "v100", "--out", "t"),
        0,
        [r"t/onnxruntime: .*", r"no engines: .*", r"\d+ files, .* in t", r"start: tritonserver .*"],
        ["v100: no TensorRT for it"],
    ),
    "a mistake": (("infer", "gone.jpg"), 2, [], ["trtkit: gone.jpg does not exist; check the name"]),
}


@pytest.mark.parametrize("case", CASES)
def test_stdout_has_the_results_alone(streams, case):
    arguments, code, results, remarks = CASES[case]
    returned, out, err = streams(*arguments)
    assert returned == code, err
    assert len(out) == len(results), out
    for line, expected in zip(out, results, strict=True):
        assert re.fullmatch(expected, line), line
    for expected in remarks:
        assert sum(line.startswith(expected) for line in err) == 1, err


@pytest.mark.parametrize(
    ("bench", "shown"),
    [
        (("host", "--photo", "p.jpg", "--rounds", "5"), "times as fast"),
        (("run", "--photo", "p.jpg", "--batch", "1", "--size", "64", "--rounds", "1", "--each", "1", "--no-peers"),
         "Latency"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_a_bench_shows_tables_on_stdout_notes_on_stderr_and_its_json_is_json_alone(streams, bench, shown):
    returned, out, err = streams("bench", *bench, "--json", "figures.json")
    assert returned == 0, err
    with open("figures.json") as stream:
        figures = json.load(stream)
    assert figures["rounds" if bench[0] == "host" else "notes"]
    assert any(shown in line for line in out)
    assert not any(line.startswith("note:") for line in out)
    assert err == [f"note: {note}" for note in figures.get("notes", [])]


def test_help_tells_how_to_begin_and_every_option_of_every_verb_says_what_it_does():
    command = typer.main.get_command(cli.app)
    assert "trtkit infer photo.jpg" in command.epilog
    verbs = [*command.commands.values()]
    for verb in verbs:
        verbs += getattr(verb, "commands", {}).values()
        assert verb.help, verb.name
        for option in verb.params:
            assert option.help, f"{verb.name} {option.name}"
    assert len(verbs) == len(command.commands) + 4
