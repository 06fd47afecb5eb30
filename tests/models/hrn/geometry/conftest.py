import numpy as np
import pytest

from trtkit.models.hrn.geometry.face_model import FaceModel


@pytest.fixture(scope="session")
def rng():
    return np.random.default_rng(8)


@pytest.fixture(scope="session")
def model() -> FaceModel:
    """A bumpy sheet of 7 × 6 vertices with random bases: small enough for loops, irregular enough to tell mistakes."""
    rng = np.random.default_rng(5)
    columns, rows = 7, 6
    v, u = np.meshgrid(np.linspace(0.93, 0.06, rows), np.linspace(0.04, 0.95, columns), indexing="ij")
    uvs = np.stack([u, v], -1).reshape(-1, 2) + rng.uniform(-0.02, 0.02, (rows * columns, 2))
    mean = np.concatenate([uvs * 2 - 1, rng.uniform(-0.3, 0.3, (rows * columns, 1))], axis=1)
    mean -= mean.mean(axis=0)
    triangles = []
    for r in range(rows - 1):
        for c in range(columns - 1):
            a = r * columns + c
            triangles += [(a, a + columns, a + 1), (a + 1, a + columns, a + columns + 1)]
    triangles = np.array(triangles)
    around = np.full((rows * columns, 8), len(triangles))
    for vertex in range(rows * columns):
        found = np.flatnonzero((triangles == vertex).any(axis=1))
        around[vertex, : len(found)] = found
    return FaceModel(
        mean=mean.reshape(-1).astype(np.float32),
        identity=rng.normal(0, 0.05, (mean.size, 80)).astype(np.float32),
        expression=rng.normal(0, 0.05, (mean.size, 64)).astype(np.float32),
        triangles=triangles,
        around=around,
        landmarks=np.arange(68) % len(mean),
        uvs=uvs.astype(np.float32),
        uv_triangles=triangles,
        albedo_mean=rng.uniform(0, 255, 512 * 512 * 3).astype(np.float32),
        albedo=rng.normal(0, 3, (512 * 512 * 3, 80)).astype(np.float32),
        synthetic=True,
    )


@pytest.fixture
def vertices(model, rng):
    """float32 [2, V, 3]: two different faces."""
    return (model.mean.reshape(1, -1, 3) + rng.normal(0, 0.1, (2, len(model.uvs), 3))).astype(np.float32)
