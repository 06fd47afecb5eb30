"""YAML for people: what cannot be read is one sentence, and a key that stands twice is refused.

PyYAML lets the second of two equal keys replace the first, and errors of a scalar's own constructor pass through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_OF_SCALARS = (ValueError, ArithmeticError, LookupError, AttributeError, TypeError)
"""What PyYAML's constructors raise for a date with 13 months, the number 0x_, !!bool perhaps."""
_SHOWN = 60


class NotYaml(ValueError):
    """What is wrong and where: a sentence but for its subject, which is the file."""


class _Loader(yaml.SafeLoader):
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (NotYaml, yaml.YAMLError):
            raise
        except _OF_SCALARS as error:
            kind = node.tag.rpartition(":")[2]
            shown = repr(str(node.value))[:_SHOWN]
            raise NotYaml(
                f"has {shown} in line {_line(node)}, which is no {kind}; put it in quotes if it is text"
            ) from error


def load(text: str) -> Any:
    """What `text` says; None if it is empty. Raises NotYaml."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        for where, first, again in _duplicates(node):
            raise NotYaml(f"has the key '{where}' twice, in lines {first} and {again}; leave one of them")
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise NotYaml(f"is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise NotYaml("is nested too deeply to be read") from error


def _duplicates(root: yaml.Node) -> Iterator[tuple[str, int, int]]:
    """Path of the key, lines of both places."""
    waiting, seen = [("", root)], set()
    while waiting:
        where, node = waiting.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(f"{where}{number}.", one) for number, one in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in lines:
                        yield where + key.value, lines[key.value], _line(key)
                    lines[key.value] = _line(key)
                    waiting.append((f"{where}{key.value}.", value))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
