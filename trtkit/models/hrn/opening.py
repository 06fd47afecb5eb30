"""From loaded networks to the pipeline: which face model belongs to them, and where its files lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trtkit.errors import MissingComponent
from trtkit.hub import places
from trtkit.hub.official import official
from trtkit.models.hrn import assets, mask
from trtkit.models.hrn.assets import Assets
from trtkit.models.hrn.options import Options
from trtkit.models.hrn.pipeline import FaceReconstruction
from trtkit.models.pipeline import Pipeline
from trtkit.models.spec import Around, take_options
from trtkit.optional import need
from trtkit.runtime.backend import Backend

OPTION = "trtkit infer's --assets DIR"


def open_pipeline(
    networks: Mapping[str, Backend], options: Mapping[str, Any], _limit_megapixels: float, around: Around
) -> Pipeline:
    """The pipeline on `networks`, those that `options` need. Raises Mistake for an option that cannot be, and
    MissingComponent naming every file of the face model that is missing, or the library for GLB."""
    taken = take_options(Options, options, "hrn")
    if taken.writes_meshes:
        need("trimesh", "writing GLB")  # before the networks run for nothing
    chain = around.chains.get(mask.GRAPH.name)
    masks = mask.by_graph(chain) if chain is not None else None
    return FaceReconstruction(networks, find_assets(taken, around), taken, masks=masks)


def find_assets(options: Options, around: Around, option: str = OPTION) -> Assets:
    """The face model that belongs to the networks; `option` is how people name its folder."""
    folder = find_folder(options, around, option)
    return assets.synthetic() if folder is None else assets.load(folder, option)


def find_folder(options: Options, around: Around, option: str = OPTION) -> Path | None:
    """The one of --assets, else that of the weights, else the pulled snapshot's; None, which is the synthetic set, for
    the networks in the package, which know no other. Raises MissingComponent where there is none."""
    if options.assets is not None:
        return Path(options.assets)
    if around.kind == "embedded":
        return None
    if around.folder is not None:
        return around.folder
    wanted = official("hrn")
    snapshot = places.find(places.cache_root(None), wanted)
    if snapshot is None:
        raise MissingComponent(
            f"the face model of 3D Face HRN is missing: {assets.wanted_words()}; get it with trtkit pull "
            f"hrn, or name the folder that has it with {option}"
        )
    return snapshot
