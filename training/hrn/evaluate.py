"""How well the embedded networks find again what was drawn, through the whole pipeline on the CPU and in FP32.

`python -m training.hrn.evaluate [FOLDER] [--pictures OUT]` judges FOLDER's NETWORK.fp32.onnx, or what ships in the
package; --pictures writes each portrait with what was found beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.hrn.portraits import Image, Known, background, portraits, scene, the_model
from trtkit.errors import Mistake
from trtkit.models.hrn import MODEL, assets
from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.faces import Faces
from trtkit.models.hrn.geometry import pose
from trtkit.models.hrn.options import NEEDED, Options
from trtkit.models.hrn.output import mesh as meshes
from trtkit.models.hrn.output.turntable import contact_sheet
from trtkit.models.hrn.pipeline import FaceReconstruction
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import StageClock
from trtkit.runtime.cpu import CpuBackend

EMBEDDED = MODEL.embedded_dir
COUNT, LISTED = 40, 5
"""Portraits that are judged, and those of them that the card lists one by one."""
LANDMARKS, VERTICES = 2.0, 2.0
"""What is to be reached: pixels of the crop of 224, and per cent of the face's width."""

Reconstruct = Callable[..., Faces]


@dataclass(frozen=True)
class Result:
    """One portrait: mean distance of the 68 landmarks in pixels of the aligned crop of 224; mean distance of the mesh's
    vertices in per cent of the face's width, both meshes turned and sized as they come and laid middle on middle (where
    a face stands is not to be seen in a crop that is moved and scaled to fit); the same for the mean face turned as the
    drawn one is, which is what knowing nothing of its shape would give; by how many degrees it is turned wrong."""

    landmarks: float
    vertices: float
    mean_face: float
    degrees: float

    @property
    def row(self) -> tuple[float, ...]:
        return self.landmarks, self.vertices, self.mean_face, self.degrees


def load(folder: Path = EMBEDDED, output: str = "mesh") -> Reconstruct:
    """(image, name, all_faces) → faces, on the networks of `folder`. Raises Mistake as the pipeline does."""
    backends = {spec.name: CpuBackend(folder / f"{spec.name}.fp32.onnx") for spec in NEEDED[output]}
    pipelines = {
        several: FaceReconstruction(backends, assets.synthetic(), Options(output, all_faces=several))
        for several in (False, True)
    }

    def reconstruct(image: Image, name: str = "picture", all_faces: bool = False) -> Faces:
        picture = Picture(image, None, (image.shape[0], image.shape[1]), Path(name))
        return pipelines[all_faces].reconstruct(picture, StageClock())

    return reconstruct


def judge(faces: Faces, known: Known, number: int = 0) -> Result:
    """Face `number` of a picture against what was drawn. Raises ValueError for faces without vertices."""
    if faces.mid is None:
        raise ValueError("these faces have no vertices; right would be output='mesh'")
    away = np.linalg.norm(faces.points[number] - known.points, axis=1) * faces.frames[number].scale
    mean = the_model()[0].mean.reshape(-1, 3) @ pose.rotation(known.face.angles)[0]
    return Result(
        landmarks=float(away.mean()),
        vertices=_apart(faces.mid.world[number], known),
        mean_face=_apart(mean, known),
        degrees=_degrees(faces.vector[number, 224:227], known.face.angles[0]),
    )


def _apart(vertices: Floats, known: Known) -> float:
    gap = vertices - known.turned
    return float(np.linalg.norm(gap - gap.mean(axis=0), axis=1).mean() / known.width * 100)


def _degrees(found: Floats, wanted: Floats) -> float:
    """The angle of the rotation from one to the other."""
    one, other = pose.rotation(np.stack([found, wanted]))
    cosine = (np.trace(one.T @ other) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def compare(reconstruct: Reconstruct, count: int = COUNT, out: Path | None = None) -> tuple[list[Result], int]:
    """(results, portraits in which no face could be reconstructed) of seeded portraits; pictures into `out`."""
    results, lost = [], 0
    for number, (image, known) in enumerate(portraits(count)):
        try:
            faces = reconstruct(image, f"portrait {number}")
        except Mistake:
            lost += 1
            continue
        results.append(judge(faces, known))
        if out is not None:
            show(out / f"portrait{number:02}.png", image, faces, known)
    return results, lost


def show(path: Path, image: Image, faces: Faces, known: Known) -> None:
    """The picture with the landmarks drawn (green) and found (red), above the mesh from five sides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    marked = image.copy()
    for points, colour in ((known.points, (0, 255, 0)), (faces.points[0], (255, 0, 0))):
        for x, y in np.round(points).astype(int):
            cv2.circle(marked, (int(x), int(y)), 1, colour, -1)
    mesh = meshes.of(faces.mid.world[0], faces.mid.texture[0], the_model()[0])
    sheet = contact_sheet(mesh, 128)
    rows = np.full((image.shape[0] + sheet.shape[0], max(image.shape[1], sheet.shape[1]), 3), 255, np.uint8)
    rows[: image.shape[0], : image.shape[1]] = marked
    rows[image.shape[0] :, : sheet.shape[1]] = sheet
    cv2.imwrite(str(path), rows[..., ::-1])


def hard_pictures() -> dict[str, tuple[Image, list[Known]]]:
    """Pictures that are not portraits, and the faces in them."""
    ten = [(20 + 190 * (k % 5), 10 + 210 * (k // 5), 180) for k in range(10)]
    return {
        "no face": (background((300, 400), 7), []),
        "cut by the border": scene((300, 400), [(-50, 50, 200)]),
        "a face of 20 pixels": scene((480, 640), [(300, 200, 28)]),
        "ten faces": scene((430, 980), ten),
        "greyscale": _grey(*scene((300, 400), [(100, 50, 200)])),
        "a face that fills the picture": scene((300, 400), [(30, -20, 340)]),
        "1 pixel": (background((1, 1), 7), []),
    }


def hard(reconstruct: Reconstruct) -> dict[str, str]:
    """What comes of each of them, in words."""
    return {name: _words(reconstruct, image, known) for name, (image, known) in hard_pictures().items()}


def _grey(image: Image, known: list[Known]) -> tuple[Image, list[Known]]:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), known


def _words(reconstruct: Reconstruct, image: Image, known: list[Known]) -> str:
    try:
        faces = reconstruct(image, "picture", True)
    except Mistake as refused:
        return str(refused)
    results = match(faces, known)
    worst = max((result.landmarks for result in results), default=float("nan"))
    far = max((result.vertices for result in results), default=float("nan"))
    return (
        f"{len(known)} drawn, {len(faces.vector)} found, {len(results)} of them where they are; landmarks within "
        f"{worst:.2f} pixels at 224, vertices within {far:.2f} %"
    )


def match(faces: Faces, known: list[Known]) -> list[Result]:
    """Of each drawn face that one was found at, by the nearest one."""
    results = []
    for one in known:
        apart = np.linalg.norm(faces.points.mean(axis=1) - one.points.mean(axis=0), axis=1)
        nearest = int(apart.argmin())
        if apart[nearest] < np.ptp(one.points[:, 0]) / 3:
            results.append(judge(faces, one, nearest))
    return results


def table(results: list[Result], lost: int) -> str:
    """Markdown: the first portraits, then mean, 95th percentile and worst of them all."""
    lines = ["| portrait | landmarks, pixels at 224 | vertices, % of the width | the mean face's, % | degrees |"]
    lines.append("| --- | --- | --- | --- | --- |")
    columns = np.array([result.row for result in results])
    rows = {str(number): row for number, row in enumerate(columns[:LISTED])}
    rows |= {"mean": columns.mean(axis=0), "95 %": np.quantile(columns, 0.95, axis=0), "worst": columns.max(axis=0)}
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in row) + " |")
    return "\n".join([*lines, "", f"{len(results)} of {len(results) + lost} portraits were found and aligned."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=EMBEDDED)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    reconstruct = load(options.folder)
    sys.stdout.write(table(*compare(reconstruct, options.count, options.pictures)) + "\n\n")
    for name, words in hard(reconstruct).items():
        sys.stdout.write(f"{name}: {words}\n")


if __name__ == "__main__":
    main()
