"""A pipeline's options out of an inference request's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trtkit.errors import Mistake
from trtkit.models.served import parse_options
from trtkit.models.spec import Model
from trtkit.serve.names import PIPELINE_FORMAT

RESERVED = ("binary_data_output", "priority", "timeout", "sequence_id", "sequence_start", "sequence_end", "headers")
"""Parameters that are the protocol's own."""

_SUFFIXES = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}


def pipeline_options(model: Model, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """(the pipeline's options, the suffix of the file that it answers with), PNG where nothing is said.

    Raises Mistake, naming the parameter and what would be right.
    """
    given = {name: value for name, value in parameters.items() if name not in RESERVED}
    wanted = given.pop(PIPELINE_FORMAT, "png")
    if wanted not in tuple(_SUFFIXES):  # it may be anything JSON has, a list too
        raise Mistake(f"parameter '{PIPELINE_FORMAT}' is {_shown(wanted)}; right would be {', '.join(_SUFFIXES)}")
    return parse_options(model.served, {name: _text(value) for name, value in given.items()}, model.name), _SUFFIXES[
        wanted
    ]


def _text(value: Any) -> str:
    """As it would stand in a query."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return f"'{text[:40]}'"
