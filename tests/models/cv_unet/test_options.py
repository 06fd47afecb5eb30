"""Options of the matting pipeline that no network has to be loaded for to be refused."""

import pytest

from trtkit import models
from trtkit.errors import Mistake
from trtkit.models.cv_unet.frozen import OfficialCutOut, Options


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 63}, "--size 63 is too small; the network needs at least 64"),
        ({"size": 2049}, "--size 2049 is too large; right would be at most 2048"),
        ({"size": 10**6}, "--size 1000000 is too large; right would be at most 2048"),
        ({"background": ""}, "--background  is neither a picture that is there nor a colour"),
        ({"background": "white", "alpha_only": True}, "--background and --alpha-only exclude each other"),
    ],
)
def test_what_cannot_be_is_one_sentence(options, sentence):
    with pytest.raises(Mistake, match=sentence):
        models.get("cv_unet").open_pipeline({"matting": None}, options, 100)


def test_an_empty_background_is_none_for_the_official_graph_either():
    with pytest.raises(Mistake, match=r"--background  is neither a picture that is there nor a colour"):
        OfficialCutOut(None, None, Options(background=""), 100)
