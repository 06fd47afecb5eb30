"""The one way reports are printed: results on stdout, all else on stderr; no wrapped paths in logs, no guessed
highlighting."""

from __future__ import annotations

import io
import sys

from rich.console import Console
from rich.table import Table


def console() -> Console:
    """stdout, for what was asked for: files that were written, tables, figures.

    What it has no letters for, such as bytes of a file's name that are not UTF-8, is escaped, as on stderr.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return _console(stderr=False)


def remarks() -> Console:
    """stderr, for everything else: what ran where, progress, notes, what failed."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    """As wide as the terminal, or 200 columns where output goes to a file."""
    terminal = Console(stderr=stderr).is_terminal
    # No markup: 'trtkit[rtx]' and file names are not styles.
    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True, width=None if terminal else 200)


def table(*columns: str, title: str | None = None, header: bool = True) -> Table:
    """A borderless table whose cells fold rather than vanish."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=header)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
