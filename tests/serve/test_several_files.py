"""Results of several files: all of them as a ZIP, or the mesh alone."""

import io
import json
import zipfile

import httpx
import pygltflib
import pytest

from trtkit.models.hrn.progress import STAGES
from trtkit.serve.negotiate import PROGRESS

from .faces import inside, served_faces


@pytest.fixture(scope="module")
def one():
    """(URL, picture) of a server that knows one face."""
    served, picture = served_faces(1)
    with inside(served) as url:
        yield url, picture


def test_the_answer_is_a_zip_of_every_file(one):
    url, picture = one
    answer = httpx.post(f"{url}/v1/hrn", content=picture, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
        assert files.testzip() is None
        wanted = {"face.texture.png", "face.obj", "face.mtl", "face.glb", "face.preview.png"}
        assert set(files.namelist()) == wanted
        assert b"mtllib face.mtl" in files.read("face.obj")
    assert httpx.post(f"{url}/v1/hrn", content=picture, timeout=60).content == answer.content


def test_the_mesh_alone_is_asked_for_by_its_media_type(one):
    url, picture = one
    answer = httpx.post(f"{url}/v1/hrn", content=picture, headers={"accept": "model/gltf-binary"}, timeout=60)
    assert answer.headers["content-type"] == "model/gltf-binary"
    assert len(pygltflib.GLTF2.load_from_bytes(answer.content).meshes) == 1


@pytest.mark.parametrize(
    ("accept", "query", "sentence"),
    [
        ("image/png", {}, "the answer can be application/zip, model/gltf-binary; the Accept header allows none"),
        (
            "model/gltf-binary",
            {"output": "coeffs"},
            "this result has no .glb file; right would be: Accept: application/zip",
        ),
    ],
)
def test_what_the_result_cannot_be_is_refused(one, accept, query, sentence):
    url, picture = one
    answer = httpx.post(f"{url}/v1/hrn", content=picture, params=query, headers={"accept": accept}, timeout=60)
    assert answer.status_code == 406
    assert sentence in answer.json()["error"]


def test_several_meshes_are_not_one(one):
    served, picture = served_faces(2)
    with inside(served) as url:
        given = {"content": picture, "params": {"all_faces": "true"}, "timeout": 60}
        answer = httpx.post(f"{url}/v1/hrn", headers={"accept": "model/gltf-binary"}, **given)
        assert answer.status_code == 406
        assert "this result has 2 .glb files" in answer.json()["error"]


def test_its_stages_are_told_as_they_come_and_described_before(one):
    url, picture = one
    described = httpx.get(f"{url}/v1").json()["models"]["hrn"]
    assert described["answers"] == ["application/zip", "model/gltf-binary"]
    assert described["stages"] == dict(STAGES)
    accept = {"accept": f"application/zip, {PROGRESS}"}
    answer = httpx.post(f"{url}/v1/hrn", content=picture, params={"output": "uv"}, headers=accept, timeout=60)
    stages = []
    for line in answer.content.split(b"\n"):
        told = json.loads(line)
        if "stage" not in told:
            break
        stages += [told["stage"]] if "ms" not in told else []
    ours = [stage for stage in stages if stage in described["stages"]]
    assert ours == [stage for stage in described["stages"] if stage in ours]
    assert {"detect", "reconstruct", "texture"} < set(ours)
    document = httpx.get(f"{url}/openapi.json").json()["paths"]["/v1/hrn"]["post"]
    assert list(document["responses"]["200"]["content"]) == described["answers"]
