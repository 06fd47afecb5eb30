"""The README and docs are true: every command in them is run, as written."""

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image

from trtkit.models.hrn.geometry import uv_map
from trtkit.models.hrn.synthetic import files, portrait

ROOT = Path(__file__).parent.parent
ALONE = {"trtkit bench host"}
"""Commands that neither read nor write a file of the folder and take long: run once, however many pages have them."""
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _commands(page: Path) -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def _pages_with_trtkit() -> list[Path]:
    return [page for page in PAGES if any(command.startswith("trtkit ") for command in _commands(page))]


@pytest.mark.parametrize("page", _pages_with_trtkit(), ids=lambda page: page.name)
def test_every_trtkit_command_of_the_page_runs_as_written(page, tmp_path, portrait, built_matting):
    shutil.copy(portrait, tmp_path / "photo.jpg")
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(portrait, tmp_path / "photos" / name)
    if "face.jpg" in page.read_text():
        _draw_faces(tmp_path)
    if "artifacts/" in page.read_text():
        shutil.copytree(built_matting / "artifacts", tmp_path / "artifacts")
    for command in _commands(page):
        if command in ALONE:
            _run_once(command)
        elif command.startswith("trtkit "):
            _run(command, tmp_path)


@functools.cache
def _run_once(command: str) -> None:
    with TemporaryDirectory() as folder:
        _run(command, Path(folder))


def _draw_faces(folder: Path) -> None:
    """face.jpg and group.jpg: the networks in the package know drawn faces alone."""
    model = files.face_model()
    uv = uv_map.rasterize(model.uvs, model.uv_triangles)
    group = np.full((420, 840, 3), 150, np.uint8)
    for k in (0, 1):
        drawn, _, _ = portrait.picture(model, uv, portrait.random_face(np.random.default_rng(k)), 300)
        group[60:360, 60 + 420 * k : 360 + 420 * k] = drawn
    Image.fromarray(group).save(folder / "group.jpg", quality=95)
    Image.fromarray(group[:, 420:]).save(folder / "face.jpg", quality=95)


def _run(command: str, folder: Path) -> None:
    # The `trtkit` of the environment these tests run in.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_make_infer_works_in_a_fresh_clone_with_nothing_installed(tmp_path, portrait):
    if not (ROOT / ".git").exists():
        pytest.skip("needs the repository, to clone it")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    shutil.copy(portrait, clone / "photo.jpg")
    environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(
        ["make", "infer", "IMG=photo.jpg"], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (clone / "photo.cutout.png").is_file()
    installed = subprocess.run(
        [clone / ".venv" / "bin" / "python", "-m", "pip", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert "onnxruntime" in installed
    assert "torch" not in installed


def test_make_infer_without_a_picture_says_what_is_missing():
    done = subprocess.run(["make", "infer"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "IMG is missing; right would be: make infer IMG=photo.jpg" in done.stdout + done.stderr


def test_ci_runs_the_readmes_own_test_command():
    assert "make test" in _commands(ROOT / "README.md")
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")


def test_every_verb_has_a_page():
    verbs = set(re.findall(r"^@app\.command\(\"?(\w*)\"?\)\ndef (\w+)", (ROOT / "trtkit" / "cli.py").read_text(), re.M))
    text = "".join(page.read_text().splitlines()[0] for page in PAGES)
    for named, function in verbs:
        assert f"trtkit {named or function}" in text


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} → {target}"
