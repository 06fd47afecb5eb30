"""`trtkit infer -m hrn` from picture to files, on networks that know the faces of a drawn scene."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from PIL import Image

from tests.models.hrn.known_networks import networks, scene
from trtkit import manifest
from trtkit.models import hrn
from trtkit.models.hrn import specs
from trtkit.report import inferring
from trtkit.runtime.select import Loaded

PLACES = {"one": [(140, 60, 300)], "two": [(10, 10, 200), (230, 10, 200)], "none": [], "cut": [(-60, -40, 260)]}
SIZES = {"one": (420, 600), "two": (220, 440), "none": (90, 120), "cut": (200, 300)}
MESH = ["texture.png", "obj", "mtl", "glb", "preview.png"]


@pytest.fixture
def face_networks(face, uv, monkeypatch, in_empty_folder):
    """Name of a scene → its picture on disk; from then on the command line's networks are those that know it. What was
    loaded and how often it ran are its attributes."""
    known = SimpleNamespace(loaded=[], runs=None, backends=None)

    def use(name, places=None, size=None, mode="RGB", blind=()):
        size = size or SIZES[name]
        image, truths = scene(face, uv, places or PLACES[name], size) if name != "none" else (_flat(size), [])
        known.backends, known.runs = networks(truths, size, blind=blind)
        path = in_empty_folder / f"{name}.png"
        Image.fromarray(image).convert(mode).save(path)
        return path

    def load(_model, network, *_, **__):
        known.loaded.append(network.name)
        record = manifest.read(hrn.MODEL.embedded_onnx(network.name))
        return Loaded(known.backends[network.name], record, Path(), "cpu: scripted", "known")

    monkeypatch.setattr(inferring.select, "load", load)
    monkeypatch.setenv("XDG_CACHE_HOME", str(in_empty_folder / "cache"))
    known.use = use
    return known


def _flat(size):
    return np.full((*size, 3), 90, np.uint8)


def _names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_a_portrait_becomes_a_mesh_that_other_readers_open(trtkit, face_networks, face):
    done = trtkit("infer", "-m", "hrn", face_networks.use("one"), "-o", "out/")
    assert done.code == 0, done.err
    assert _names("out") == sorted(f"one.face.{ending}" for ending in MESH)
    assert done.err.count("weights") == 2, "where they are from, and one line for all networks that are"
    assert "hrn: embedded weights (6 networks), on cpu: scripted" in done.err
    for line in ("sampled from the picture", "face mask: none", "SYNTHETIC face model", "does without high_net"):
        assert line in done.err.replace("\n", " ")
    for ending in MESH:
        assert f"one.face.{ending}" in done.out
    assert "reconstruct" in done.out
    assert "files" in done.out
    scene_ = trimesh.load("out/one.face.glb", process=False)
    (solid,) = scene_.geometry.values()
    flat = trimesh.load("out/one.face.obj", process=False, maintain_order=True)
    texture = Image.open("out/one.face.texture.png")
    for mesh in (solid, flat):
        assert len(mesh.vertices) == len(face.uvs)
        assert len(mesh.faces) == len(face.triangles)
        assert mesh.visual.uv.min() >= 0
        assert mesh.visual.uv.max() <= 1
    assert solid.visual.material.baseColorTexture.size == flat.visual.material.image.size == texture.size == (256, 256)


@pytest.mark.parametrize("output", ["coeffs", "uv", "mesh", "all"])
def test_each_output_loads_and_runs_its_networks_alone(output, trtkit, face_networks):
    done = trtkit("infer", "-m", "hrn", face_networks.use("one"), "-o", "out", "--output", output)
    assert done.code == 0, done.err
    find = ["net_recon", "landmarks106", "retinaface", "s3fd", "fan"]
    more = {"coeffs": [], "uv": ["mid_net"], "mesh": ["mid_net"], "all": ["mid_net", "high_net", "de_retouch"]}
    assert sorted(face_networks.loaded) == sorted(find + more[output]), "what is not loaded takes no memory"
    assert face_networks.runs == dict.fromkeys(face_networks.loaded, 1) | {"landmarks106": 2}
    skipped = [spec.name for spec in specs.NETWORKS if spec.name not in face_networks.loaded]
    assert (f"--output {output}: does without {', '.join(skipped)}" in " ".join(done.err.split())) is bool(skipped)


def test_all_faces_are_numbered_and_go_through_each_network_once(trtkit, face_networks):
    picture = face_networks.use("two")
    assert trtkit("infer", "-m", "hrn", picture, "--all-faces").code == 0
    assert [name for name in _names(".") if name.endswith(".glb")] == ["two.face.1.glb", "two.face.2.glb"]
    assert face_networks.runs["net_recon"] == face_networks.runs["mid_net"] == 1
    assert len(face_networks.backends["net_recon"].batches[0]) == 2


def test_a_face_that_is_left_out_is_told(trtkit, face_networks):
    picture = face_networks.use("two", blind=(0,))
    done = trtkit("infer", "-m", "hrn", picture, "-o", "out", "--output", "coeffs", "--all-faces")
    assert done.code == 0, done.err
    assert f"{picture}: 1 of 2 faces left out: their landmarks are not to be seen" in " ".join(done.err.split())
    assert len(json.loads(Path("out/two.face.coeffs.json").read_text())["faces"]) == 1
    done = trtkit("infer", "-m", "hrn", face_networks.use("two"), "-o", "out", "--output", "coeffs", "--all-faces")
    assert "left out" not in done.err


def test_a_name_that_is_not_utf8_ends_no_batch_and_its_files_find_each_other(trtkit, face_networks, in_empty_folder):
    strange = os.fsdecode(b"caf\xe9")
    face_networks.use("one").replace(in_empty_folder / f"{strange}.png")
    done = trtkit("infer", "-m", "hrn", f"{strange}.png", face_networks.use("one"), "-o", "out")
    assert done.code == 0, done.err
    assert _names("out") == sorted(f"{name}.face.{ending}" for name in ("one", strange) for ending in MESH)
    assert b"mtllib caf\xe9.face.mtl\n" in Path(f"out/{strange}.face.obj").read_bytes()
    assert b"map_Kd caf\xe9.face.texture.png\n" in Path(f"out/{strange}.face.mtl").read_bytes()


def test_a_folder_is_done_twice_and_never_takes_its_own_results(trtkit, face_networks, in_empty_folder):
    for _ in range(2):
        face_networks.use("one")
        (in_empty_folder / "photos").mkdir(exist_ok=True)
        (in_empty_folder / "one.png").replace("photos/one.png")
        done = trtkit("infer", "-m", "hrn", "photos", "--output", "uv")
        assert done.code == 0, done.err
        assert _names("photos") == ["one.face.texture.png", "one.png"]


def test_a_picture_without_a_face_is_named_and_the_others_go_on(trtkit, face_networks, in_empty_folder):
    picture = face_networks.use("one")
    (in_empty_folder / "broken.jpg").write_bytes(b"no picture")
    done = trtkit("infer", "-m", "hrn", "broken.jpg", picture, "-o", "out", "--output", "coeffs")
    assert done.code == 2
    assert "broken.jpg" in done.err
    assert "1 of 2 pictures" in done.out
    (listed,) = json.loads(Path("out/one.face.coeffs.json").read_text())["faces"]
    assert len(listed["identity"]) == 80


@pytest.mark.parametrize("size", [(1, 1), (90, 120), (3, 900)])
def test_a_picture_without_a_face_is_one_sentence(size, trtkit, face_networks):
    done = trtkit("infer", "-m", "hrn", face_networks.use("none", size=size), "-o", "out")
    assert done.code == 2
    assert "none.png shows no face that RetinaFace finds; give a picture of a person" in " ".join(done.err.split())
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("name", "places", "size", "mode"),
    [
        ("cut", None, None, "RGB"),
        ("small", [(900, 700, 28)], (1500, 2000), "RGB"),
        ("ten", [(20 + 190 * (k % 5), 10 + 210 * (k // 5), 180) for k in range(10)], (430, 980), "RGB"),
    ],
    ids=["cut by the border", "20 pixels", "ten faces"],
)
def test_hard_pictures_come_out_whole(name, places, size, mode, trtkit, face_networks, face):
    done = trtkit("infer", "-m", "hrn", face_networks.use(name, places, size, mode), "-o", "out", "--all-faces")
    assert done.code == 0, done.err
    meshes = [trimesh.load(path, process=False) for path in Path("out").glob("*.obj")]
    assert len(meshes) == len(places or PLACES[name])
    for mesh in meshes:
        assert np.isfinite(mesh.vertices).all()
        assert mesh.vertices.shape == (len(face.uvs), 3)
    assert face_networks.runs["fan"] == -(-len(meshes) // 8), "eight faces a run"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-o", "face.glb"), "--out face.glb names a file, and each picture gives several; name a folder"),
        (("--format", "webp"), "--format webp is for a picture; hrn writes several files, its textures as PNG"),
        (("--size", "512"), "--size is not an option of hrn; its options: --output, --all-faces, --assets"),
        (("--output", "hologram"), "'hologram' is not one of"),
        (("--assets", "gone"), "gone does not hold BFM_model_front.mat"),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments, sentence, trtkit, face_networks):
    done = trtkit("infer", "-m", "hrn", face_networks.use("one"), *arguments)
    assert done.code in (2, 3)
    assert sentence in " ".join(done.err.replace("│", " ").split())


def test_other_models_do_not_know_its_options(trtkit, portrait, in_empty_folder):
    done = trtkit("infer", portrait, "--output", "uv")
    assert done.code == 2
    assert "--output is not an option of cv_unet" in done.err
