"""Is an INT8 form close enough to FP32? The tolerances of engines.yaml, applied to measured figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trtkit.config import NetworkConfig
from trtkit.errors import Mistake
from trtkit.models.spec import GREY, NetworkSpec

_FIGURES = ("sad_percent", "psnr", "vertices_percent")
"""Those of int8 in engines.yaml that say what it may cost."""

USUAL_LEVELS, USUAL_PERCENT = 3.0, 1.0
"""Most that INT8 may differ by on average where engines.yaml says nothing: grey levels; percent of the output's largest
value, or of a face's width."""


def excesses(
    figures: Mapping[str, float], settings: NetworkConfig, spec: NetworkSpec, precision: str = "int8"
) -> list[str]:
    """What passes its tolerance, a phrase each; `figures` are accuracy.summary's. Empty: close enough. Of a
    `spec` that is relative, the tolerance is a share of the output's largest value. Raises Mistake where engines.yaml
    states a figure that the outputs do not have."""
    return [phrase for phrase, passed in _compared(figures, settings, spec, precision) if not passed]


def _usual(figures: Mapping[str, float], spec: NetworkSpec) -> tuple[str, bool]:
    """What is asked of INT8 where engines.yaml says nothing."""
    if "vertices_percent" in figures:
        found = figures["vertices_percent"]
        return f"vertices {found:.2f} % of the face's width apart (at most {USUAL_PERCENT:g} %)", found <= USUAL_PERCENT
    if "mae_percent" in figures:
        found = figures["mae_percent"]
        return (
            f"a mean error of {found:.3g} % of the output's largest value (at most {USUAL_PERCENT:g} %)",
            found <= USUAL_PERCENT,
        )
    found = figures["mae"]
    return f"a mean error of {found:.2f} {spec.unit} (at most {USUAL_LEVELS:g})", found <= USUAL_LEVELS


def _compared(
    figures: Mapping[str, float], settings: NetworkConfig, spec: NetworkSpec, precision: str
) -> Iterator[tuple[str, bool]]:
    mean = settings.tolerance.get(precision)  # type: ignore[call-overload]
    if mean is not None and spec.relative:
        found = figures["mae_percent"]
        yield (
            f"a mean error of {found:.3g} % of the output's largest value (at most {100 * mean:g} %)",
            found <= 100 * mean,
        )
    elif mean is not None:
        places = ".2f" if spec.unit == GREY else ".3g"
        yield f"a mean error of {figures['mae']:{places}} {spec.unit} (at most {mean:g})", figures["mae"] <= mean
    if precision != "int8":
        return
    stated = settings.int8.model_dump(include=set(_FIGURES), exclude_none=True)
    for key in stated:
        if key not in figures:
            has = [name for name in _FIGURES if name in figures]
            right = f"int8.{has[0]}" if has else "tolerance.int8"
            raise Mistake(
                f"engines.yaml: int8.{key} of the network '{spec.name}' is no figure of its outputs; right would be "
                f"{right}"
            )
    if mean is None and not stated:
        yield _usual(figures, spec)
    if settings.int8.sad_percent is not None:
        most, found = settings.int8.sad_percent, figures["sad_percent"]
        yield f"a SAD of {found:.2f} % of all alpha (at most {most:g} %)", found <= most
    if settings.int8.psnr is not None:
        least, found = settings.int8.psnr, figures["psnr"]
        yield f"a PSNR of {found:.2f} dB (at least {least:g} dB)", found >= least
    if settings.int8.vertices_percent is not None:
        most, found = settings.int8.vertices_percent, figures["vertices_percent"]
        yield f"vertices {found:.2f} % of the face's width apart (at most {most:g} %)", found <= most
