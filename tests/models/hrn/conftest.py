import pytest

from trtkit.models.hrn.geometry import uv_map
from trtkit.models.hrn.synthetic import files


@pytest.fixture(scope="session")
def face():
    """The synthetic face model."""
    return files.face_model()


@pytest.fixture(scope="session")
def uv(face):
    return uv_map.rasterize(face.uvs, face.uv_triangles)


@pytest.fixture(scope="session")
def synthetic_assets(tmp_path_factory):
    """The synthetic set on disk, as a snapshot holds it."""
    folder = tmp_path_factory.mktemp("snapshot") / "assets"
    files.write(folder)
    return folder
