"""A network behind Triton as the pipelines see it. Triton's utilities are a stand-in here: the models of an engine's
profiles need a GPU. That the real ones work is proven with tritonserver (tests/serve/protocol)."""

from __future__ import annotations

import numpy as np
import pytest

from trtkit import config, models
from trtkit.errors import Mistake
from trtkit.package.bls import BlsBackend, TritonFailed
from trtkit.package.shapes import shares

from .stand_in_utils import Utils


@pytest.fixture
def utils() -> Utils:
    return Utils()


def network(utils: Utils, bounded: bool = True) -> BlsBackend:
    spec = models.get("cv_unet").network("matting")
    settings = config.load().network("cv_unet", "matting")
    targets = [
        {
            "model": share.name,
            "max_batch": share.max_batch,
            "profile": {name: one.model_dump() for name, one in share.profile.items()} if bounded else {},
        }
        for share in shares("cv_unet_matting", spec, settings.profiles, 8)
    ]
    return BlsBackend(utils, spec, targets)


def images(rows: int, side: int) -> np.ndarray:
    return np.random.default_rng(rows).integers(0, 256, (rows, side, side, 3), np.uint8)


@pytest.mark.parametrize(("side", "model"), [(256, ""), (512, ""), (768, "_profile1"), (1024, "_profile1")])
def test_the_size_chooses_the_model_of_the_profile(utils, side, model):
    image = images(1, side)
    np.testing.assert_array_equal(network(utils).run({"image": image})["alpha"], image[..., :1])
    assert utils.calls == [(f"cv_unet_matting{model}", 1)]


def test_more_than_a_model_takes_goes_in_parts(utils):
    image = images(5, 768)
    np.testing.assert_array_equal(network(utils).run({"image": image})["alpha"], image[..., :1])
    assert utils.calls == [("cv_unet_matting_profile1", rows) for rows in (2, 2, 1)]


def test_without_profiles_the_first_model_takes_any_size(utils):
    network(utils, bounded=False).run({"image": images(9, 32)})
    assert utils.calls == [("cv_unet_matting", 8), ("cv_unet_matting", 1)]


def test_a_size_that_no_engine_has_is_a_mistake(utils):
    with pytest.raises(Mistake, match="no profile of Triton model cv_unet_matting admits image 1x2048x2048x3"):
        network(utils).run({"image": images(1, 2048)})
    assert utils.calls == []


def test_tritons_error_is_told(utils):
    utils.error = "no memory left"
    with pytest.raises(TritonFailed, match="Triton model cv_unet_matting: no memory left"):
        network(utils).submit({"image": images(1, 256)}).result()


def test_it_states_the_engines_profiles_for_pipelines_that_tile(utils):
    assert [profile["image"].max for profile in network(utils).profiles] == [[8, 512, 512, 3], [2, 1024, 1024, 3]]
    assert network(utils, bounded=False).profiles == []
