"""Is an INT8 form close enough to FP32? The tolerances of engines.yaml, applied to measured figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trtkit.config import NetworkConfig
from trtkit.models.spec import GREY, NetworkSpec


def excesses(
    figures: Mapping[str, float], settings: NetworkConfig, spec: NetworkSpec, precision: str = "int8"
) -> list[str]:
    """What passes its tolerance, a phrase each; `figures` are accuracy.summary's. Empty: close enough. Of a
    `spec` that is relative, the tolerance is a share of the output's largest value."""
    return [phrase for phrase, passed in _compared(figures, settings, spec, precision) if not passed]


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
    if settings.int8.sad_percent is not None and "sad_percent" in figures:
        most, found = settings.int8.sad_percent, figures["sad_percent"]
        yield f"a SAD of {found:.2f} % of all alpha (at most {most:g} %)", found <= most
    if settings.int8.psnr is not None and "psnr" in figures:
        least, found = settings.int8.psnr, figures["psnr"]
        yield f"a PSNR of {found:.2f} dB (at least {least:g} dB)", found >= least
    if settings.int8.vertices_percent is not None and "vertices_percent" in figures:
        most, found = settings.int8.vertices_percent, figures["vertices_percent"]
        yield f"vertices {found:.2f} % of the face's width apart (at most {most:g} %)", found <= most
