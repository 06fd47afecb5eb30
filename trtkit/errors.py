"""The errors a user can cause or meet, each of them one sentence with an exit code.

A message says what was wrong, what was found and what would be right, and names the file, tensor or
option it is about. The command line prints the sentence alone; ``--debug`` adds the traceback.
"""

from __future__ import annotations


class TrtkitError(Exception):
    """The one exception family that reaches a user. Anything else that escapes is a bug in trtkit."""

    exit_code = 1


class Mistake(TrtkitError):
    """The user asked for something that cannot be: a bad file, option, key or value."""

    exit_code = 2


class MissingComponent(TrtkitError):
    """A library, device or file that the request needs is not here; the message says how to get it."""

    exit_code = 3


class CheckFailed(TrtkitError):
    """Something was made or found, and did not pass its check; nothing of it is kept or used."""

    exit_code = 4
