"""What a model's loaded networks were made of and where they run, for people: a line for all that share it."""

from __future__ import annotations

from collections.abc import Iterable

from trtkit.runtime.select import Loaded


def lines(folder: str, loaded: Iterable[Loaded]) -> list[str]:
    """'hrn: embedded weights (8 networks), on cpu: …', the most networks first. Others are named: 'hrn/mid_net: …'.

    A network that is alone in its line has the weights' sha256 and note; several have the note they share.
    """
    groups: dict[tuple[str, str, str], list[Loaded]] = {}
    for one in loaded:
        weights = one.manifest.made_of.weights
        # What is in the package is one place, though each network there has a remark of its own.
        note = "" if weights.kind == "embedded" else weights.note
        groups.setdefault((weights.kind, note, one.where), []).append(one)
    found: list[str] = []
    for (kind, note, where), ones in sorted(groups.items(), key=lambda item: -len(item[1])):
        names = [one.manifest.network for one in ones]
        subject = folder if not found and (len(ones) > 1 or len(groups) == 1) else ""
        subject = subject or ", ".join(f"{folder}/{name}" for name in names)
        several = f"{kind} weights ({'; '.join(filter(None, (f'{len(ones)} networks', note)))})"
        found.append(f"{subject}: {ones[0].weights if len(ones) == 1 else several}, on {where}")
    return found
