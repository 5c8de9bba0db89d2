"""Waiting for several things: what is shown, when, and what is made of a server in trouble."""

from collections.abc import Callable

import pytest

from despina.cli import exits, waiting
from despina.cli.client import NoAnswer, Unavailable
from despina.cli.waiting import Look, Waiting

Told = Callable[[], str]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.001)


def going(name: str, line: str, phase: object = 0) -> Look:
    return Look(name, [line], line, phase)


def story(**stories: list[Look | Exception]) -> Callable[[str, int], Look]:
    """Sees the one thing after the other of each; the last one is seen again and again."""
    def look(name: str, _columns: int) -> Look:
        seen = stories[name].pop(0) if len(stories[name]) > 1 else stories[name][0]
        if isinstance(seen, Exception):
            raise seen
        return seen
    return look


def test_all_are_waited_for_and_the_worst_end_counts(capsys: pytest.CaptureFixture[str]) -> None:
    look = story(a=[going("a", "1"), Look("a", [], "", 0, exits.DONE, "a is done")],
                 b=[going("b", "1"), going("b", "2"), Look("b", [], "", 0, exits.FAILED, "b has failed")],
                 c=[Look("c", [], "", 0, exits.STOPPED, "c was stopped")])
    assert Waiting(look, timeout=None, quiet=False).run(["a", "b", "c"]) == exits.FAILED
    said = capsys.readouterr()
    assert said.out.splitlines() == ["c was stopped", "a is done", "b has failed"]
    assert said.err.splitlines() == ["1", "1"], "the numbers of a phase that goes on are told now and then"


def test_a_new_phase_is_told_at_once_and_nothing_where_it_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    stories: list[Look | Exception] = [going("a", "starting", 1), going("a", "epoch 1", 2), going("a", "epoch 2", 2),
                                       Look("a", [], "", 0, exits.DONE, "done")]
    assert Waiting(story(a=[*stories]), timeout=None, quiet=False).run(["a"]) == exits.DONE
    assert capsys.readouterr().err.splitlines() == ["starting", "epoch 1"]
    assert Waiting(story(a=[*stories]), timeout=None, quiet=True).run(["a"]) == exits.DONE
    assert capsys.readouterr().err == ""


def test_a_server_that_has_answered_may_be_away_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    away = NoAnswer("There is no answer.")
    trouble = Unavailable("InternalFailureException", "The database is away.")
    end = Look("a", [], "", 0, exits.DONE, "done")
    assert Waiting(story(a=[going("a", "1"), away, trouble, away, end]), timeout=None, quiet=False).run(["a"]) == exits.DONE
    with pytest.raises(NoAnswer):
        Waiting(story(a=[away]), timeout=None, quiet=False).run(["a"])
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(Unavailable):
        Waiting(story(a=[going("a", "1"), trouble]), timeout=None, quiet=False).run(["a"])


def test_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    look = story(a=[going("a", "1")], b=[Look("b", [], "", 0, exits.DONE, "b is done")])
    assert Waiting(look, timeout=0.01, quiet=False).run(["a", "b"]) == exits.TIMED_OUT
    assert capsys.readouterr().err.splitlines()[-1] == "despina: the time of --timeout is over: 1 of 2 have not ended."
