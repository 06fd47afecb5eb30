"""What a pipeline behind Triton answers, and in whose words it refuses. Triton's utilities are a stand-in here."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from trtkit.package.triton_pipeline import PipelineModel
from trtkit.serve.names import PIPELINE_INPUT

from .stand_in_utils import Utils


@pytest.fixture
def model():
    """cv_unet's pipeline for pictures of at most 0.01 megapixels."""
    made = PipelineModel()
    made.utils = Utils()
    networks = {"matting": [{"model": "cv_unet_matting", "max_batch": 8, "profile": {}}]}
    settings = {"model": "cv_unet", "style": None, "megapixels": 0.01, "networks": networks}
    text = {"parameters": {"trtkit": {"string_value": json.dumps(settings)}}}
    made.initialize({"model_config": json.dumps(text)})
    yield made
    made.finalize()


def ask(model: PipelineModel, side: int = 64, **parameters):
    stream = io.BytesIO()
    Image.new("RGB", (side, side), "#a05030").save(stream, "PNG")
    picture = np.array([[stream.getvalue()]], object)
    request = SimpleNamespace(inputs={PIPELINE_INPUT: picture}, parameters=lambda: json.dumps(parameters))
    (response,) = model.execute([request])
    return response


def test_a_picture_is_answered_with_a_file(model):
    response = ask(model, alpha_only=True)
    assert response.error is None
    (result,) = response.output_tensors
    with Image.open(io.BytesIO(result.as_numpy()[0, 0])) as image:
        assert (image.mode, image.size) == ("L", (64, 64))


@pytest.mark.parametrize(
    ("side", "parameters", "sentence"),
    [
        (64, {"background": "red", "alpha_only": True}, "'background' and 'alpha_only' exclude each other"),
        (64, {"format": "jpeg"}, "the result is a JPEG, which has no transparency; ask for PNG or WebP, or set option"),
        (200, {}, "the picture is 200x200, 0.0 megapixels, over the limit of 0.01; send a smaller one"),
        (64, {"size": 5}, "option 'size' is '5'; right would be a whole number from 256 to 1024"),
    ],
)
def test_a_client_is_told_of_what_it_sent_and_not_of_the_command_line(model, side, parameters, sentence):
    error = ask(model, side, **parameters).error
    assert sentence in error.message
    assert "--" not in error.message
    assert error.code == "invalid argument"


def test_what_triton_says_of_a_network_is_passed_on(model):
    model.utils.error = "no memory left"
    error = ask(model).error
    assert (error.message, error.code) == ("Triton model cv_unet_matting: no memory left", "internal")
