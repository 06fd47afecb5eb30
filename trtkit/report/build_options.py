"""Options of `trtkit build` that do nothing for the precision asked for: refused, since who gives one expects more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trtkit.calib.standing import why_not_int8
from trtkit.calib.target import Target
from trtkit.errors import Mistake
from trtkit.export.choose import EMBEDDED
from trtkit.export.photographs import files_in


def check_options(precision: str, images: Path | None, accept_loss: bool, weights: str | None) -> None:
    """Raises Mistake, naming the option. Where --weights leads to an export, that is checked on --images, whatever is
    built then."""
    if accept_loss and precision in ("fp32", "fp16"):
        raise Mistake(f"--accept-loss is for INT8, and --precision {precision} loses nothing that way; leave it out")
    if images is None:
        return
    files_in(images)
    if precision == "fp32" and weights in (None, EMBEDDED):
        raise Mistake(
            "--images does nothing beside --precision fp32: FP32 is checked by trtkit export; name the folder there, "
            "or leave it out"
        )


def check_any_int8(targets: Sequence[Target], gpus: Sequence[str]) -> None:
    """Raises Mistake, with the build that can be, if engines.yaml states INT8 for none of a model's networks."""
    first = targets[0]
    if all(why_not_int8(target) is not None for target in targets):
        named = " ".join(f"--gpu {gpu}" for gpu in gpus)
        raise Mistake(
            f"{why_not_int8(first)}; build it in another precision, as in: trtkit build {first.model.called} {named} "
            f"--precision {first.settings.precisions[0]}"
        )
