"""What a server of several processes has done, gathered from all of them when one is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_PATIENCE = 2.0
"""Seconds that a front may take to answer; what it said last stands for it then."""

Counted = tuple[dict[tuple[str, int], int], dict[tuple[str, str], tuple[int, float]]]
"""Answers by route and status, and each stage's pictures and seconds: see trtkit.serve.totals."""


@dataclass(eq=False)
class _Question:
    tell: Callable[[Counted], None]
    waiting: set[int]
    until: float = field(default_factory=lambda: time.monotonic() + _PATIENCE)


class Aggregation:
    """Lives in the hub's own thread. Fronts are known by numbers that no other one gets.

    A front that was killed is counted on with what it said last, so that nothing ever goes backwards.
    """

    def __init__(self) -> None:
        self._said: dict[int, Counted] = {}
        self._departed: Counted = ({}, {})
        self._questions: dict[int, _Question] = {}
        self._asked = 0

    def ask(self, fronts: Mapping[int, Callable[[int], None]], tell: Callable[[Counted], None]) -> None:
        """`fronts`: number → what asks it, with the number of the question; `tell` gets what all have together."""
        self._asked += 1
        question = self._asked
        self._questions[question] = _Question(tell, set(fronts))
        for ask in fronts.values():
            ask(question)

    def told(self, front: int, question: int, counted: Counted) -> None:
        self._said[front] = counted
        if question in self._questions:
            self._questions[question].waiting.discard(front)
            self._finish()

    def leaves(self, front: int) -> None:
        """It is no more."""
        self._departed = _together([self._departed, self._said.pop(front, ({}, {}))])
        for question in self._questions.values():
            question.waiting.discard(front)
        self._finish()

    def look(self) -> float | None:
        """Answer what has waited too long; the seconds until the next look, None if there need be none."""
        self._finish()
        return min((question.until for question in self._questions.values()), default=None)

    def _finish(self) -> None:
        now = time.monotonic()
        for number, question in tuple(self._questions.items()):
            if not question.waiting or question.until <= now:
                del self._questions[number]
                question.tell(_together([self._departed, *self._said.values()]))


def _together(all_of_them: Sequence[Counted]) -> Counted:
    answers: dict[tuple[str, int], int] = {}
    stages: dict[tuple[str, str], tuple[int, float]] = {}
    for counted, stage_seconds in all_of_them:
        for route, count in counted.items():
            answers[route] = answers.get(route, 0) + count
        for stage, (count, seconds) in stage_seconds.items():
            before = stages.get(stage, (0, 0.0))
            stages[stage] = (before[0] + count, before[1] + seconds)
    return answers, stages


def plain(counted: Counted) -> dict[str, Any]:
    return {"answers": counted[0], "stages": counted[1]}
