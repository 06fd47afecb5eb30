"""Whose weights a network runs on: those of its exported FP32 form; what was made of others is left over."""

from __future__ import annotations

from trtkit import artifacts, manifest
from trtkit.errors import TrtkitError
from trtkit.manifest import Manifest
from trtkit.runtime.request import Request


def left_over(record: Manifest, request: Request) -> str | None:
    """Why what `record` belongs to is not to be run any more; None if it is."""
    weights = record.made_of.weights
    if _of_an_earlier_package(record, request):
        return "made of the weights that an earlier trtkit brought along"
    exact = artifacts.onnx_path(request.root, request.model.folder, request.spec.name, "fp32")
    if exact.is_file():
        try:
            exported = manifest.read(exact)
        except TrtkitError:
            return None  # it is told when that file is opened
        if weights.sha256 != exported.made_of.weights.sha256 and not _of_an_earlier_package(exported, request):
            return f"made of other weights than {exact.name} beside it"
    return None


def _of_an_earlier_package(record: Manifest, request: Request) -> bool:
    shipped = request.model.embedded_onnx(request.spec.name)
    if record.made_of.weights.kind != "embedded" or not shipped.is_file():
        return False
    return record.made_of.weights.sha256 != manifest.read(shipped).made_of.weights.sha256
