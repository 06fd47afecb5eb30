"""How networks are called in the inference protocol and in a Triton repository: folder names have no slash."""

from __future__ import annotations

PIPELINE_INPUT, PIPELINE_OUTPUT = "image", "result"
"""The tensors of a pipeline as a model of its own: picture files in, picture files out."""

PIPELINE_FORMAT = "format"
"""The request parameter that says which kind of file a pipeline answers with; all others are the model's options."""


def network_name(model: str, network: str) -> str:
    """'cv_unet_matting' for network 'matting' of 'cv_unet'."""
    return f"{model}_{network}"
