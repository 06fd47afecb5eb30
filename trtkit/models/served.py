"""What a stranger may ask of a pipeline over HTTP: a model's options, with their limits.

Only what is stated here can be set by a request. A path (a background picture, a mask) or a memory budget is the
operator's, so it is not stated: a request could otherwise read the server's files or take all of its memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trtkit.errors import Mistake

OptionName = str
"""The name of a ServedOption of the same model."""

_TRUE, _FALSE = ("1", "true", "yes", "on", ""), ("0", "false", "no", "off")


@dataclass(frozen=True)
class Useful:
    """How much of a picture a model looks at, so that a client can shrink what it sends and lose nothing.

    No more than `pixels` along the picture's `side` are used; a name stands for the value of that option. Under any of
    the options `unless`, all of them are. `matte` names the yes-no option with which the answer is the matte alone: a
    client that has the whole picture asks for that, enlarges it and composes by itself.
    """

    side: Literal["long", "short"]
    pixels: int | OptionName
    unless: tuple[tuple[OptionName, str], ...] = ()
    matte: OptionName | None = None


@dataclass(frozen=True)
class ServedOption:
    """One option of a pipeline as a query parameter.

    `kind` decides how text becomes a value; `least` and `most` bound a 'whole' number, `choices` a 'choice'.
    `default` None means that the pipeline leaves it out.
    """

    name: str
    kind: Literal["yes-no", "whole", "choice", "colour"]
    help: str
    default: Any = None
    least: int = 0
    most: int = 0
    multiple_of: int = 1
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> Any:
        """The value that `text` stands for. Raises Mistake, naming the option and what would be right."""
        if self.kind == "yes-no":
            if text.lower() in _TRUE + _FALSE:
                return text.lower() in _TRUE
            raise Mistake(f"option '{self.name}' is '{_short(text)}'; right would be true or false")
        if self.kind == "whole":
            fits = text.isascii() and text.isdigit() and len(text) < 10 and self.least <= int(text) <= self.most
            if fits and int(text) % self.multiple_of == 0:
                return int(text)
            steps = f", a multiple of {self.multiple_of}" if self.multiple_of > 1 else ""
            raise Mistake(
                f"option '{self.name}' is '{_short(text)}'; right would be a whole number from {self.least} to "
                f"{self.most}{steps}"
            )
        if self.kind == "choice":
            if text in self.choices:
                return text
            raise Mistake(f"option '{self.name}' is '{_short(text)}'; right would be one of {', '.join(self.choices)}")
        return self._colour(text)

    def _colour(self, text: str) -> str:
        from trtkit.models.imaging.compose import parse_color

        try:
            # As three numbers: a name alone could also be that of a file beside the server.
            return ",".join(map(str, parse_color(text)))
        except Mistake as error:
            raise Mistake(
                f"option '{self.name}' is '{_short(text)}'; right would be a colour: white, #0a84ff or 10,132,255"
            ) from error


def parse_options(known: tuple[ServedOption, ...], given: Mapping[str, str], model: str) -> dict[str, Any]:
    """Query parameters as the pipeline's options. Raises Mistake, naming the first that is not known or wrong."""
    by_name = {option.name: option for option in known}
    for name in given:
        if name not in by_name:
            has = f"its options: {', '.join(by_name)}" if by_name else "it has no options"
            raise Mistake(f"option '{_short(name)}' is not one of {model}'s; {has}")
    return {name: by_name[name].parse(text) for name, text in given.items()}


def in_a_request(sentence: str, known: tuple[ServedOption, ...]) -> str:
    """`sentence`, which names options as the command line does, for somebody who sent them as parameters."""
    for option in known:
        sentence = re.sub(rf"--{option.name.replace('_', '-')}(?![\w-])", f"'{option.name}'", sentence)
    return sentence


def _short(text: str) -> str:
    """What a stranger sent, fit to be repeated in a sentence."""
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= 40 else clean[:40] + "…"
