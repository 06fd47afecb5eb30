"""Models for another process: as they are, or how to make them from the same artifacts anew."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

from trtkit.config import Config
from trtkit.models.imported.model import in_use
from trtkit.models.spec import Model
from trtkit.serve.opening import Source, bounded


@dataclass(frozen=True)
class Recipe:
    """`model` where it can be sent; one around imported graphs cannot, so it is read from its artifacts again."""

    model: Model | None
    name: str
    style: str | None
    root: Path
    settings: Config
    kind: str
    folder: Path | None
    mode: str | None

    def make(self) -> Model:
        """Raises what reading artifacts raises."""
        model = self.model
        if model is None:
            model, _ = in_use(self.name, self.style, self.root, self.settings, self.kind, self.folder)
        return model if self.mode is None else bounded(model, self.mode)


def recipe(source: Source, mode: str | None) -> Recipe:
    model: Model | None = source.model
    try:
        pickle.dumps(model)
    except (pickle.PicklingError, AttributeError, TypeError):
        model = None
    around = source.model.around
    return Recipe(
        model, source.model.name, source.model.style, source.root, source.settings, around.kind, around.folder, mode
    )
