"""What --help says in names and figures is what the code has."""

import click
import pytest
from typer.main import get_command

from trtkit import byte_size, cli, models
from trtkit.models.cv_unet.pipeline import LARGEST, Options
from trtkit.models.dct_net import SHORT_SIDE, STYLES
from trtkit.models.dct_net.tiles import DEFAULT_MEMORY
from trtkit.models.hrn.options import NEEDED


def _commands(group: click.Group, path: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= _commands(command, f"{path}{name} ")
        else:
            found[path + name] = command
    return found


COMMANDS = _commands(get_command(cli.app))


def helps(option: str) -> dict[str, str]:
    """Verb → what it says of `option`, where it has it."""
    return {
        verb: parameter.help or ""
        for verb, command in COMMANDS.items()
        for parameter in command.params
        if option in parameter.opts
    }


def test_every_verb_but_export_takes_exported_weights_of_ones_own_first():
    own = {verb: "your own if they were exported" in text for verb, text in helps("--weights").items()}
    own.pop("bench run")  # the checkpoint of its PyTorch peers
    assert {verb for verb, said in own.items() if not said} == {"export"}
    assert {"infer", "build", "calibrate", "evaluate", "serve"} < own.keys()


def test_every_style_is_named():
    for verb, text in helps("--style").items():
        assert f"{', '.join(STYLES[:-1])} or {STYLES[-1]}" in text, verb


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--size", f"at most {LARGEST} ({Options().size})"),
        ("--mode", f"at most {SHORT_SIDE} (fast, the default)"),
        ("--max-memory", f"({byte_size.text(DEFAULT_MEMORY).replace(' ', '')})"),
        *(("--output", f"{output}, ") for output in NEEDED if output != "mesh"),
    ],
)
def test_the_limits_and_defaults_of_infer_are_the_code_s(option, said):
    assert said in helps(option)["infer"]


def test_every_model_is_named_where_one_is_asked_for():
    for verb, command in COMMANDS.items():
        for parameter in command.params:
            if parameter.name in ("model", "models") and verb != "bench serve":  # it compares pictures alone
                assert ", ".join(models.NAMES) in parameter.help, verb
