"""Whose weights a network runs on: those of its exported FP32 form; what was made of others is left over."""

from __future__ import annotations

from trtkit import artifacts, manifest
from trtkit.errors import TrtkitError
from trtkit.manifest import Manifest
from trtkit.models.spec import Model
from trtkit.runtime.request import Request


def left_over(record: Manifest, request: Request) -> str | None:
    """Why what `record` belongs to is not to be run any more; None if it is."""
    weights, model, network = record.made_of.weights, request.model, request.spec.name
    if of_an_earlier_package(record, model, network):
        return "made of the weights that an earlier trtkit brought along"
    exact = artifacts.onnx_path(request.root, model.folder, network, "fp32")
    if exact.is_file():
        try:
            exported = manifest.read(exact)
        except TrtkitError:
            return None  # it is told when that file is opened
        others = weights.sha256 != exported.made_of.weights.sha256
        if others and not of_an_earlier_package(exported, model, network):
            return f"made of other weights than {exact.name} beside it"
    return None


def of_an_earlier_package(record: Manifest, model: Model, network: str) -> bool:
    """True if it was made of embedded weights, and the package brings others by now."""
    if record.made_of.weights.kind != "embedded":
        return False  # asked first: a style has nothing in the package to compare with
    shipped = model.embedded_onnx(network)
    return shipped.is_file() and record.made_of.weights.sha256 != manifest.read(shipped).made_of.weights.sha256
