"""How networks are called in the inference protocol and in a Triton repository: folder names have no slash."""

from __future__ import annotations


def network_name(model: str, network: str) -> str:
    """'cv_unet_matting' for network 'matting' of 'cv_unet'."""
    return f"{model}_{network}"
