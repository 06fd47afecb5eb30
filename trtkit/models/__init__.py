"""The models trtkit knows. Adding one is a folder here and a block in engines.yaml."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from trtkit.errors import Mistake

if TYPE_CHECKING:
    from trtkit.models.spec import Model

NAMES = ("cv_unet", "dct_net", "hrn")


def get(name: str) -> Model:
    """The model called `name`. Raises Mistake listing the known names."""
    if name not in NAMES:
        raise Mistake(f"model '{name}' is not known; known models: {', '.join(NAMES)}")
    model: Model = importlib.import_module(f"trtkit.models.{name}").MODEL
    return model
