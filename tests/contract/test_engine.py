"""What every engine does with one run, held against the local one, with real processes."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contract.engine_world import PATIENCE, World

from despina.core.job import Observation, Progress, RunState
from despina.core.ports import RunLogs
from despina.engine import open_engine


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


# How runs end


def test_a_run_succeeds_with_its_result_and_its_latest_progress(world: World) -> None:
    seen = world.run("succeed")
    assert seen.state is RunState.SUCCEEDED
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "2")
    assert seen.result == {"environment": {**threads, "GIVEN": "given"}, "cwd": str(world.folder / "runs" / "run")}
    assert seen.progress == Progress(at=2, step=2, of=2, unit="epoch", metric="acc", value=0.5, best=0.75)
    assert seen.failure_reason is None
    assert seen.started_at is not None
    assert seen.finished_at is not None
    assert seen.started_at <= seen.finished_at


def test_a_program_fails_with_its_own_reason(world: World) -> None:
    seen = world.run("refuse")
    assert (seen.state, seen.failure_reason) == (RunState.FAILED, "The file nodes.csv has no column '~id'.")


def test_a_crash_fails_with_the_end_of_the_log(world: World) -> None:
    seen = world.run("crash")
    assert (seen.state, seen.failure_reason) == (RunState.FAILED, "The program ended with exit status 3: last line")


def test_a_program_that_cannot_be_found_fails(world: World) -> None:
    engine = open_engine("local", folder=world.folder / "runs", module="no.such.module", environment={}, on_change=world.note)
    world.engines.append(engine)
    engine.submit(world.spec("run", "succeed"))
    seen = world.end(engine, "run")
    assert seen.state is RunState.FAILED
    assert "no.such.module" in str(seen.failure_reason) or "No module named" in str(seen.failure_reason)


@pytest.mark.parametrize(("behaviour", "reason"), [
    ("say_nothing", "The program ended with exit status 0 and left no result."),
    ("mumble", "The program's last word cannot be read: run/result.json: "),
])
def test_a_program_without_a_readable_last_word_fails(world: World, behaviour: str, reason: str) -> None:
    seen = world.run(behaviour)
    assert seen.state is RunState.FAILED
    assert str(seen.failure_reason).startswith(reason)


def test_a_killed_program_is_lost(world: World) -> None:
    seen = world.run("die")
    reason = "The program was killed by SIGKILL."
    assert (seen.state, seen.result, seen.failure_reason) == (RunState.LOST, None, reason)


def test_a_program_killed_after_its_last_word_has_succeeded(world: World) -> None:
    seen = world.run("die_with_a_result")
    assert (seen.state, seen.result, seen.failure_reason) == (RunState.SUCCEEDED, {}, None)


def test_what_a_program_leaves_behind_is_dead_when_the_run_is_over(world: World) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "leave_a_daemon"))
    call = world.call()
    assert call.hear() == "daemon"
    assert world.end(engine, "run").state is RunState.SUCCEEDED
    assert call.hear() == ""


# Stop


def test_stop_ends_daemons_that_are_deaf_to_sigterm(world: World) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "keep_a_daemon"))
    call = world.call()
    assert call.hear() == "daemon"
    assert engine.observe("run").state is RunState.RUNNING
    engine.stop("run")
    engine.stop("run")
    assert world.end(engine, "run").state is RunState.STOPPED
    assert call.hear() == ""


def test_a_stopped_run_is_stopped_even_if_it_then_succeeds(world: World) -> None:
    engine = world.open(grace_seconds=PATIENCE)
    engine.submit(world.spec("run", "succeed_when_stopped"))
    world.call()
    engine.stop("run")
    seen = world.end(engine, "run")
    assert (seen.state, seen.result) == (RunState.STOPPED, None)
    assert (world.folder / "runs" / "run" / "result.json").exists()


def test_a_stop_after_the_program_has_succeeded_comes_too_late(world: World) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "obey"))
    call = world.call()
    program = select.poll()
    pidfd = os.pidfd_open(call.pid)
    program.register(pidfd, select.POLLIN)
    os.kill(world.supervisor("run"), signal.SIGSTOP)  # so that it finds the program's end and the stop together
    call.say("succeed")
    assert program.poll(PATIENCE * 1000)
    os.close(pidfd)
    engine.stop("run")
    os.kill(world.supervisor("run"), signal.SIGCONT)
    assert world.end(engine, "run").state is RunState.SUCCEEDED


def test_stop_before_submit_starts_nothing(world: World) -> None:
    engine = world.open()
    engine.stop("run")
    engine.submit(world.spec("run", "succeed"))
    assert engine.observe("run").state is RunState.STOPPED
    engine.submit(world.spec("next", "succeed"))
    assert world.end(engine, "next").state is RunState.SUCCEEDED  # the engine has looked at both
    assert engine.observe("run").state is RunState.STOPPED
    assert not (world.folder / "runs" / "run" / "log.txt").exists()


def test_stop_after_the_end_changes_nothing(world: World) -> None:
    before = world.run("succeed")
    world.engines[0].stop("run")
    assert world.engines[0].observe("run") == before


def test_a_stop_at_any_moment_of_the_start_ends_in_stopped(world: World) -> None:
    engine, other = world.open(), world.open()
    runs = [f"run-{number}" for number in range(12)]
    for number, run_id in enumerate(runs):
        engine.submit(world.spec(run_id, "obey"))
        # Some are stopped at once, some when they are told to have started, some as soon as there is a claim.
        if number % 3 == 1:
            world.hear_of(run_id)
        (engine, other)[number % 2].stop(run_id)
    assert [world.end(engine, run_id).state for run_id in runs] == [RunState.STOPPED] * len(runs)


def test_a_sigterm_that_is_not_the_engines_loses_the_run_and_ends_the_tree(world: World) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "keep_a_daemon"))
    call = world.call()
    assert call.hear() == "daemon"
    os.kill(world.supervisor("run"), signal.SIGTERM)
    seen = world.end(engine, "run")
    assert (seen.state, seen.failure_reason) == (RunState.LOST, "The program was killed by SIGTERM.")
    assert call.hear() == ""


# Runs are known by their ids


def test_a_run_submitted_twice_runs_once(world: World) -> None:
    engine, other = world.open(), world.open()
    for submitting in (engine, other, engine):
        submitting.submit(world.spec("run", "obey"))
    call = world.call()
    engine.submit(world.spec("run", "crash"))
    call.say("succeed")
    ended = world.end(engine, "run")
    assert ended.result == {"obeyed": True}
    engine.submit(world.spec("run", "obey"))
    assert engine.observe("run") == ended


def test_an_unknown_run_has_no_state(world: World) -> None:
    assert world.open().observe("nobody") == Observation(state=None)
    assert world.open().read("nobody", offset=0, limit=10) == (b"", 0)


@pytest.mark.parametrize("run_id", ["", ".", "..", ".hidden", "a/b", "../run", "a b", "ä", "a\n", "x" * 151])
def test_an_id_that_is_no_plain_name_is_refused(world: World, run_id: str) -> None:
    engine = world.open()
    verbs: list[Callable[[], object]] = [
        lambda: engine.submit(world.spec(run_id, "succeed")), lambda: engine.observe(run_id), lambda: engine.stop(run_id),
        lambda: engine.read(run_id, offset=0, limit=1),
    ]
    for verb in verbs:
        with pytest.raises(ValueError, match="1-150 letters"):
            verb()


# The log


def test_the_log_comes_in_whole_lines_until_the_run_is_over(world: World) -> None:
    logs: RunLogs = world.open()
    world.engines[0].submit(world.spec("run", "obey"))
    call = world.call()
    call.say("one")
    assert call.hear() == "printed"
    assert logs.read("run", offset=0, limit=100) == (b"one\n", 4)
    call.say("three")
    assert call.hear() == "printed"
    assert logs.read("run", offset=0, limit=7) == (b"one\n", 4)
    assert logs.read("run", offset=4, limit=100) == (b"three\n", 10)
    assert logs.read("run", offset=4, limit=3) == (b"thr", 7)  # a line longer than the limit
    assert logs.read("run", offset=10, limit=100) == (b"", 10)
    call.say("fo~")
    assert call.hear() == "printed"
    assert logs.read("run", offset=10, limit=100) == (b"", 10)
    assert logs.read("run", offset=4, limit=100) == (b"three\n", 10)
    call.say("ur")
    assert call.hear() == "printed"
    assert logs.read("run", offset=10, limit=100) == (b"four\n", 15)
    call.say("succeed")
    world.end(world.engines[0], "run")


def test_the_last_line_of_a_log_need_not_be_whole(world: World) -> None:
    world.run("succeed")
    assert world.engines[0].read("run", offset=6, limit=100) == (b"second\nunfinished", 23)
    assert world.engines[0].read("run", offset=6, limit=10) == (b"second\n", 13)


# Services


def test_a_service_is_reached_however_long_the_path_of_its_folder_is(tmp_path: Path) -> None:
    world = World(tmp_path, runs="r" * 120)
    engine = world.open()
    try:
        engine.submit(world.spec("run", "serve", share=0))
        assert world.call().hear() == "listening"
        for _ in range(2):
            with engine.connect("run") as connection, connection.makefile() as answer:
                assert answer.read() == "at your service\n"
        engine.stop("run")
        world.end(engine, "run")
        with pytest.raises(OSError):  # noqa: PT011 - refused, or no such file
            engine.connect("run")
    finally:
        world.close()


def test_a_service_does_not_wait_behind_others_and_takes_no_core_from_them(world: World) -> None:
    engine = world.open(cores=1, memory_mib=100)
    engine.submit(world.spec("first", "obey", share=1, memory_mib=100))
    first = world.call()
    engine.submit(world.spec("second", "obey", share=1, memory_mib=100))
    engine.submit(world.spec("service", "serve", share=0, memory_mib=100))
    call = world.call()
    assert call.run_id == "service", "the second run has to wait, the service has not"
    assert call.hear() == "listening"
    first.say("succeed")
    assert world.call().run_id == "second", "for which the service leaves room"


def test_nobody_answers_for_a_run_that_is_no_service_or_none_at_all(world: World) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "obey"))
    world.call()
    for run_id in ("run", "unknown"):
        with pytest.raises(OSError):  # noqa: PT011
            engine.connect(run_id)


def test_a_run_that_has_ended_is_forgotten_with_all_that_was_kept_of_it(world: World) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "succeed"))
    world.end(engine, "run")
    engine.forget("run")
    assert engine.observe("run") == Observation(state=None)
    assert [path.name for path in (world.folder / "runs").iterdir() if path.is_dir()] == []
    engine.forget("run")
    engine.submit(world.spec("run", "refuse"))
    assert world.end(engine, "run").state is RunState.FAILED, "the id is free again"


def test_a_run_that_is_live_is_not_forgotten(world: World) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "obey"))
    world.call()
    with pytest.raises(ValueError, match="has not ended"):
        engine.forget("run")
    assert engine.observe("run").state is RunState.RUNNING
