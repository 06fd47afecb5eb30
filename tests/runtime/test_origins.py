"""The lines that say from what a model's networks were made and where they run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from trtkit import manifest, models
from trtkit.runtime.origins import lines
from trtkit.runtime.select import Loaded

HRN = models.get("hrn")
CPU, GPU = "cpu: CPU, fp32", "cuda: H200, fp16"


def one(network: str, kind: str = "embedded", where: str = CPU, note: str = "") -> Loaded:
    record = manifest.read(HRN.embedded_onnx(network))
    changed = record.made_of.weights.model_copy(update={"kind": kind, "note": note or f"good for {network}"})
    record = record.model_copy(update={"made_of": record.made_of.model_copy(update={"weights": changed})})
    return Loaded(SimpleNamespace(), record, Path("a"), where, f"{kind} weights {network} ({changed.note})")  # type: ignore[arg-type]


def test_all_networks_of_one_place_have_one_line():
    everything = [one(network.name) for network in HRN.networks]
    assert lines("hrn", everything) == [f"hrn: embedded weights (8 networks), on {CPU}"]
    official = [one(network.name, "official", note="v2") for network in HRN.networks]
    assert lines("hrn", official) == [f"hrn: official weights (8 networks; v2), on {CPU}"]


def test_one_network_says_which_weights_they_are():
    assert lines("hrn", [one("fan", note="n")]) == [f"hrn: embedded weights fan (n), on {CPU}"]


def test_those_that_differ_are_named():
    found = lines("hrn", [one("mid_net", where=GPU), one("fan"), one("s3fd"), one("high_net", "file", note="f")])
    assert found == [
        f"hrn: embedded weights (2 networks), on {CPU}",
        f"hrn/mid_net: embedded weights mid_net (good for mid_net), on {GPU}",
        f"hrn/high_net: file weights high_net (f), on {CPU}",
    ]
    assert lines("hrn", [one("fan"), one("s3fd", where=GPU)]) == [
        f"hrn/fan: embedded weights fan (good for fan), on {CPU}",
        f"hrn/s3fd: embedded weights s3fd (good for s3fd), on {GPU}",
    ]
    halves = [one("fan"), one("s3fd"), one("mid_net", where=GPU), one("high_net", where=GPU)]
    assert lines("hrn", halves)[1] == f"hrn/mid_net, hrn/high_net: embedded weights (2 networks), on {GPU}"
