"""Which weights a verb uses: those --weights names, else the pulled official ones, else those in the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trtkit.errors import CheckFailed, Mistake
from trtkit.files import sha256
from trtkit.hub import places, record
from trtkit.hub.official import Official, official
from trtkit.models.spec import Model, Weights

EMBEDDED, OFFICIAL, FILE = "embedded", "official", "file"


@dataclass(frozen=True)
class Chosen:
    """`path` is the snapshot's folder, or what --weights named; None for the embedded weights. `sentence` says which
    and why, for people; `note` goes into manifests."""

    kind: str
    path: Path | None
    sentence: str
    note: str = ""

    def weights(self, model: Model, network: str) -> Weights:
        """The file of one network. Raises Mistake if it is not there. Not for the embedded ones."""
        assert self.path is not None
        path = model.find_weights(network, self.path)
        return Weights(self.kind, path, self._sum(path), self.note)

    def graph(self, model: Model) -> Weights | None:
        """The official TensorFlow graph that is to be imported, None if these weights are no such thing."""
        if model.frozen is None or self.path is None:
            return None
        path = self.path / model.frozen.file_name if self.path.is_dir() else self.path
        if path.suffix != ".pb" or not path.is_file():
            return None
        return Weights(self.kind, path, self._sum(path), self.note)

    def beside(self, file_name: str) -> Weights | None:
        """Another file of the folder that these weights lie in, None if it holds no such file."""
        path = self.path / file_name if self.path is not None else None
        if path is None or not path.is_file():
            return None
        return Weights(self.kind, path, self._sum(path), self.note)

    def _sum(self, path: Path) -> str:
        """sha256 of `path`. Raises CheckFailed if it is not what was pulled."""
        digest = sha256(path)
        found = record.read(self.path) if self.kind == OFFICIAL and self.path is not None else None
        if found is not None and self.path is not None:
            entry = found.files.get(path.relative_to(self.path).as_posix())
            if entry is None or entry.sha256 != digest:
                raise CheckFailed(f"{path} is not the file that was pulled; run trtkit pull again, which mends it")
        return digest


def choose(model: Model, given: str | None, cache: Path | None = None) -> Chosen:
    """`given` is --weights: 'embedded', 'official', a path, or None for the best there is.

    Raises Mistake for 'official' without a whole snapshot, and for a path that does not exist.
    """
    if given == EMBEDDED:
        return Chosen(EMBEDDED, None, "embedded weights, as --weights says")
    if given is not None and given != OFFICIAL:
        path = Path(given)
        if not path.exists():
            raise Mistake(
                f"--weights {given} does not exist; right would be embedded, official, or {model.takes_weights}"
            )
        return Chosen(FILE, path, f"weights from {given}")
    wanted, root = _official(model), places.cache_root(cache)
    folder = places.find(root, wanted) if wanted else None
    if wanted is not None and folder is not None:
        found = f"official weights {wanted.model_id} {wanted.revision} from {folder}"
        return Chosen(OFFICIAL, folder, found, f"{wanted.model_id} {wanted.revision}")
    command = f"trtkit pull {model.name}" + (f" --style {model.style}" if model.style else "")
    if given == OFFICIAL:
        raise Mistake(f"--weights official: there is no whole snapshot under {root}; get it with: {command}")
    left = places.unchecked(root, wanted) if wanted else None
    if left is not None:
        return Chosen(
            EMBEDDED, None, f"embedded weights; the snapshot in {left} has not been checked, do so with: {command}"
        )
    return Chosen(EMBEDDED, None, "embedded weights; no official snapshot has been pulled")


def _official(model: Model) -> Official | None:
    try:
        return official(model.name, model.style)
    except Mistake:
        return None


def is_the_snapshot(chosen: Chosen, sums: set[str]) -> bool:
    """True if every sum of `sums` (sha256 of what artifacts were made of) is that of a file in the chosen snapshot."""
    found = record.read(chosen.path) if chosen.path is not None else None
    return found is not None and sums <= {entry.sha256 for entry in found.files.values()}
