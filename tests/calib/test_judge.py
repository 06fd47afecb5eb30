"""What INT8 may cost: what engines.yaml states, something where it states nothing, and never a figure there is not."""

import pytest

from trtkit import models
from trtkit.calib.judge import excesses
from trtkit.config import Int8Config
from trtkit.errors import Mistake

ALPHA = {"mae": 3.2, "sad_percent": 4.0}
PICTURE = {"mae": 2.9, "psnr": 36.0}
NUMBERS = {"mae_percent": 1.1}
FACE = NUMBERS | {"vertices_percent": 0.9}


@pytest.fixture
def settings(small_config):
    return small_config.network("cv_unet", "matting").model_copy(update={"tolerance": {}, "int8": Int8Config()})


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (ALPHA, ["a mean error of 3.20 grey levels (at most 3)"]),
        (PICTURE, []),
        (NUMBERS, ["a mean error of 1.1 % of the output's largest value (at most 1 %)"]),
        (FACE, []),
        (FACE | {"vertices_percent": 1.2}, ["vertices 1.20 % of the face's width apart (at most 1 %)"]),
    ],
)
def test_where_nothing_is_stated_there_is_a_limit_all_the_same(settings, figures, said):
    assert excesses(figures, settings, models.get("cv_unet").network("matting")) == said


@pytest.mark.parametrize(
    ("stated", "figures", "right"),
    [
        ({"psnr": 90.0}, ALPHA, "int8.sad_percent"),
        ({"sad_percent": 1.0}, PICTURE, "int8.psnr"),
        ({"vertices_percent": 1.0}, NUMBERS, "tolerance.int8"),
    ],
)
def test_a_figure_that_the_outputs_do_not_have_is_no_tolerance(settings, stated, figures, right):
    wrong = settings.model_copy(update={"int8": Int8Config.model_validate(stated)})
    key = next(iter(stated))
    said = f"engines.yaml: int8.{key} of the network 'matting' is no figure of its outputs; right would be "
    with pytest.raises(Mistake) as error:
        excesses(figures, wrong, models.get("cv_unet").network("matting"))
    assert str(error.value) == said + right
