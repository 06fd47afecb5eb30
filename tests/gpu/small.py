"""A short run of everything on the toy network, for compute-sanitizer: python -m tests.gpu.small"""

from __future__ import annotations

import numpy as np

from tests.runtime.test_on_gpu import open_toy, picture


def main() -> None:
    with open_toy(slots=2) as backend:
        for n in (1, 2, 8):
            for _ in range(3):
                backend.run(picture(n, 32))
        views = backend.submit(picture(2, 32), copy=False).result()
        with backend.lease({"image": (2, 32, 32, 3)}) as lease:
            lease.inputs["image"][...] = picture(2, 32)["image"]
            assert np.array_equal(lease.run()["map"], views["map"])
        del views
    print("small: done")


if __name__ == "__main__":
    main()
