"""Transparent results as JPEG, which has no transparency: said before anything is loaded, where it can be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trtkit.errors import Mistake
from trtkit.infer.inputs import Job
from trtkit.models.imaging.decode import decode
from trtkit.models.imaging.encode import NoTransparency, check_transparency
from trtkit.models.spec import Model


def check_results(model: Model, options: Mapping[str, Any], work: Sequence[Job], max_megapixels: float) -> None:
    """Raises NoTransparency where no picture's result could be written. One among others is told in its turn."""
    target = work[0].target  # all have one suffix
    if model.opaque_with and not options.keys() & set(model.opaque_with):
        check_transparency(target.suffix, str(target), model.opaque_with)
    elif model.keeps_alpha:
        try:
            check_transparency(target.suffix, str(target))
        except NoTransparency:
            if all(_is_transparent(job, max_megapixels) for job in work):
                raise


def _is_transparent(job: Job, max_megapixels: float) -> bool:
    try:
        return decode(job.source, limit_megapixels=max_megapixels, at_least=(1, 1)).alpha is not None
    except Mistake:
        return False  # of what cannot be read that is told
