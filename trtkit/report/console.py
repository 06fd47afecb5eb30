"""The one way reports are printed: no wrapped paths in logs, no guessed highlighting."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def console() -> Console:
    """A console as wide as the terminal, or 200 columns where output goes to a file."""
    terminal = Console().is_terminal
    # No markup: 'trtkit[rtx]' and file names are not styles.
    return Console(highlight=False, markup=False, soft_wrap=True, width=None if terminal else 200)


def table(*columns: str, title: str | None = None, header: bool = True) -> Table:
    """A borderless table whose cells fold rather than vanish."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=header)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
