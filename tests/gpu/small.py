"""A short run of everything on small networks, one of them fused, for compute-sanitizer: python -m tests.gpu.small"""

from __future__ import annotations

import numpy as np

from tests.runtime.fused.networks import guided, two_levels
from tests.runtime.test_on_gpu import open_toy, picture


def main() -> None:
    for content in (None, two_levels().SerializeToString(), guided().SerializeToString()):
        run(content)
    print("small: done")


def run(content: bytes | None) -> None:
    with open_toy(slots=2, content=content) as backend:
        for n in (1, 2, 8):
            for _ in range(3):
                backend.run(picture(n, 32))
        views = backend.submit(picture(2, 32), copy=False).result()
        with backend.lease({"image": (2, 32, 32, 3)}) as lease:
            lease.inputs["image"][...] = picture(2, 32)["image"]
            assert np.array_equal(lease.run()["map"], views["map"])
        del views


if __name__ == "__main__":
    main()
