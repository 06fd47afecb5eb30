"""The sentence for forked children, and what happens to a GPU's guests."""

from __future__ import annotations

import os

import pytest

from trtkit.errors import Mistake
from trtkit.runtime import process


class Guest:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def close(self) -> None:
        self.seen.append("closed")

    def abandon(self) -> None:
        self.seen.append("abandoned")


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Guest:
    monkeypatch.setattr(process, "_guests", [])
    made = Guest()
    process.enter(made)
    return made


def test_the_process_that_opened_the_gpu_may_go_on(monkeypatch):
    monkeypatch.setattr(process, "_used_by", None)
    process.check()
    process.check()
    assert process._used_by == os.getpid()


def test_a_forked_child_gets_a_sentence(monkeypatch):
    monkeypatch.setattr(process, "_used_by", os.getpid() + 1)
    with pytest.raises(Mistake, match=r"was forked from process \d+, which uses the GPU.*get_context\('spawn'\)"):
        process.check()


def test_guests_are_closed_at_exit_where_they_live(guest, monkeypatch):
    monkeypatch.setattr(process, "_used_by", os.getpid())
    process._close_all()
    assert guest.seen == ["closed"]


def test_guests_of_the_parent_are_abandoned_in_a_child_and_never_closed(guest, monkeypatch):
    monkeypatch.setattr(process, "_used_by", os.getpid() + 1)
    process._abandon_all()
    process._close_all()
    assert guest.seen == ["abandoned"]


def test_a_guest_that_left_is_forgotten(guest, monkeypatch):
    monkeypatch.setattr(process, "_used_by", os.getpid())
    process.leave(guest)
    process.leave(guest)
    process._close_all()
    assert guest.seen == []
