"""hrn as a served model, on networks that know the faces of a drawn scene, and a server for it in this process."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from PIL import Image

from tests.models.hrn.known_networks import networks, scene
from trtkit.models.hrn import MODEL
from trtkit.models.hrn.geometry import uv_map
from trtkit.models.hrn.synthetic import files
from trtkit.serve.access import Keys
from trtkit.serve.app import make_app
from trtkit.serve.batcher import Batcher
from trtkit.serve.breaker import Breaker
from trtkit.serve.limits import Limits
from trtkit.serve.service import Served, Service

SIZE = (420, 600)
PLACES = {1: [(140, 60, 300)], 2: [(10, 60, 280), (310, 60, 280)]}


def served_faces(count: int = 1) -> tuple[Served, bytes]:
    """The model, and the PNG of the one scene with `count` faces that its networks know."""
    face = files.face_model()
    picture, truths = scene(face, uv_map.rasterize(face.uvs, face.uv_triangles), PLACES[count], SIZE)
    backends, _ = networks(truths, SIZE)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    batchers = {name: _batcher(name, backend) for name, backend in backends.items()}
    return Served(MODEL, batchers, 100), stream.getvalue()


def _batcher(name: str, backend: Any) -> Batcher:
    def shapes(tensors: Any) -> dict[str, tuple[str, tuple[int | None, ...]]]:
        return {
            tensor.name: (tensor.dtype, tuple(axis if isinstance(axis, int) else None for axis in tensor.shape))
            for tensor in tensors
        }

    backend.inputs, backend.outputs = shapes(backend.spec.inputs), shapes(backend.spec.outputs)
    backend.trim = lambda: None
    return Batcher(f"hrn/{name}", [backend], 1, 0.0, Breaker(5, 5.0), {})


@contextmanager
def inside(served: Served) -> Iterator[str]:
    """The URL of a server on `served`, in a thread of this process."""
    service = Service({served.model.name: served}, Limits(workers=2, seconds=60))
    settings = uvicorn.Config(make_app(service, Keys([])), port=0, log_config=None, access_log=False, ws="none")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
