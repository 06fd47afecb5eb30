"""What is served, from which weights, in which mode."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from trtkit import models
from trtkit.errors import Mistake
from trtkit.models.dct_net.tiles import BYTES_PER_PIXEL, DEFAULT_MEMORY, RESERVED
from trtkit.models.served import parse_options
from trtkit.report import serving
from trtkit.report.serving import Wish, sources
from trtkit.serve.limits import Limits
from trtkit.serve.opening import bounded, open_service


def wish(root: Path, *names: str, **given: object) -> Wish:
    defaults = {"style": None, "weights": None, "backend": "cpu", "devices": [0], "mode": None, "max_batch": None}
    return Wish(models=names, root=root, config=None, **{**defaults, **given})  # type: ignore[arg-type]


def opened_with(monkeypatch, model) -> list[dict]:
    """The options that pipelines of `model` are opened with from now on."""
    seen: list[dict] = []
    monkeypatch.setattr(
        "trtkit.models.dct_net.MODEL",
        model.__class__(
            **{**vars(model), "open_pipeline": lambda networks, options, limit: seen.append(dict(options))}
        ),
    )
    return seen


def test_mode_fast_is_all_that_a_request_can_ask_for(monkeypatch):
    seen = opened_with(monkeypatch, models.get("dct_net"))
    model = bounded(models.get("dct_net"), "fast")
    with pytest.raises(Mistake, match="option 'mode' is 'fine'; right would be one of fast"):
        parse_options(model.served, {"mode": "fine"}, "dct_net")
    model.open_pipeline({}, parse_options(model.served, {"mode": "fast"}, "dct_net"), 9)
    model.open_pipeline({}, {}, 9)
    assert seen == [{"mode": "fast"}, {"mode": "fast"}]


def test_mode_fine_is_the_default_and_a_request_may_ask_for_less(monkeypatch):
    seen = opened_with(monkeypatch, models.get("dct_net"))
    model = bounded(models.get("dct_net"), "fine")
    model.open_pipeline({}, {}, 9)
    model.open_pipeline({}, parse_options(model.served, {"mode": "fast"}, "dct_net"), 9)
    assert seen == [{"mode": "fine"}, {"mode": "fast"}]
    stated = next(option for option in model.served if option.name == "mode")
    assert (stated.default, stated.choices) == ("fine", ("fast", "fine"))


def test_a_mode_that_no_model_has_is_refused(tiny_root):
    with pytest.raises(Mistake, match="--mode fast is for models that have modes, and none of cv_unet has"):
        open_service(sources(wish(tiny_root, "cv_unet")), "cpu", [0], Limits(workers=1), mode="fast")


def test_it_serves_the_weights_that_infer_would_and_says_so(tiny_root, in_empty_folder):
    service = open_service(sources(wish(tiny_root, "cv_unet")), "cpu", [0], Limits(workers=1))
    said = " ".join(service.models["cv_unet"].where)
    service.close()
    assert f"cv_unet: weights of your own, exported to {tiny_root / 'cv_unet'}" in said
    assert "the red channel" in said
    embedded = sources(wish(tiny_root, "cv_unet", weights="embedded"))
    assert embedded[0].root != tiny_root
    assert embedded[0].said == ("embedded weights, as --weights says",)


def test_batches_are_as_large_as_the_backend_has_use_for_or_as_was_said(tiny_root):
    for given, most in ((None, 2), (5, 5)):
        service = open_service(sources(wish(tiny_root, "cv_unet")), "cpu", [0], Limits(workers=1), max_batch=given)
        assert service.models["cv_unet"].networks["matting"].max_batch == most
        service.close()


def test_requests_to_dct_net_share_one_memory_budget_on_a_cpu(tmp_path, in_empty_folder):
    wanted = sources(wish(tmp_path, "dct_net"))
    service = open_service(wanted, "cpu", [0], Limits(workers=1), max_batch=8)
    network = service.models["dct_net"].networks["background"]
    rows = {side: network._most((("image", (side, side, 3)),)) for side in (256, 736, 1104, 1536)}
    service.close()
    assert rows == {256: 8, 736: 4, 1104: 2, 1536: 1}
    assert all(RESERVED + count * side**2 * BYTES_PER_PIXEL <= DEFAULT_MEMORY for side, count in rows.items())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"style": "anime"}, "--style anime is for one model, and cv_unet, dct_net are served; name that one"),
        ({"weights": "x.pth"}, "--weights x.pth is for one model, and cv_unet, dct_net are served; name that one"),
    ],
)
def test_what_belongs_to_one_model_is_not_given_to_several(tmp_path, given, sentence):
    with pytest.raises(Mistake) as caught:
        sources(wish(tmp_path, "cv_unet", "dct_net", **given))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("backend", "cores", "processes", "said"),
    [
        ("cuda", 8, 1, True),
        ("tensorrt", 32, 1, True),
        ("cuda", 7, 1, False),
        ("cpu", 32, 1, False),
        ("cuda", 32, 4, False),
    ],
)
def test_who_has_a_gpu_and_many_cores_is_told_of_more_processes(monkeypatch, capsys, backend, cores, processes, said):
    """The backend's name alone is a GPU's here: this machine has none."""
    service = SimpleNamespace(
        models={"cv_unet": SimpleNamespace(networks={"matting": SimpleNamespace(name=backend)}, where=("cv_unet: it",))}
    )
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    for name, put in {
        "open_service": lambda *given: service,
        "sources": lambda wish: [],
        "for_many_pictures": lambda: None,
        "log_to_stderr": lambda access: None,
        "run": lambda *given: None,
    }.items():
        monkeypatch.setattr(serving, name, put)
    monkeypatch.setattr("trtkit.serve.fronts.run.run_fronts", lambda n, settings, find, opened, *rest: opened(find()))
    limits = Limits(workers=1)
    serving.show(wish(Path(), "cv_unet"), "127.0.0.1", 0, limits, None, True, [], False, processes)
    out, err = capsys.readouterr()
    assert out.splitlines() == ["cv_unet: it"]
    note = (
        "note: one process does all the host work here, and Python's lock keeps it from using many cores; where small "
        "pictures leave the GPU waiting, --processes N carries more of them (docs/serve.md, Several processes)"
    )
    assert err.splitlines() == ([note] if said else [])
