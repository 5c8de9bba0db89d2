"""What the local engine does with one run beyond what every engine does, with real processes."""

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contract.engine_world import PATIENCE, LocalWorld

from despina.core.frozen import RECORD_VERSION
from despina.core.job import RunState
from despina.engine import open_local


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    world = LocalWorld(tmp_path)
    yield world
    world.close()


# How runs end


def test_a_run_lives_in_a_folder_of_its_own_with_its_share_of_the_cores(world: LocalWorld) -> None:
    seen = world.run("succeed")
    assert seen.result is not None
    assert seen.result["cwd"] == str(world.folder / "runs" / "run")
    assert set(seen.result["environment"].values()) == {"2", "given"}
    world.engines[0].forget("run")
    assert [path.name for path in (world.folder / "runs").iterdir() if path.is_dir()] == []


def test_a_run_of_a_newer_version_waits_for_an_engine_of_that_version_and_keeps_no_other_waiting(world: LocalWorld) -> None:
    engine = world.open(cores=1)
    engine.submit(replace(world.spec("newer", "succeed"), version=RECORD_VERSION + 1))
    engine.submit(world.spec("ours", "succeed"))
    assert world.end(engine, "ours").state is RunState.SUCCEEDED
    assert engine.observe("newer").state is RunState.PENDING
    assert not (world.runs / "newer" / "claim").exists()
    engine.stop("newer")
    assert world.end(engine, "newer").state is RunState.STOPPED


def test_a_program_that_cannot_be_found_fails(world: LocalWorld) -> None:
    engine = open_local(folder=world.folder / "runs", module="no.such.module", environment={}, on_change=world.note)
    world.engines.append(engine)
    engine.submit(world.spec("run", "succeed"))
    seen = world.end(engine, "run")
    assert seen.state is RunState.FAILED
    assert "no.such.module" in str(seen.failure_reason) or "No module named" in str(seen.failure_reason)


@pytest.mark.parametrize(("behaviour", "reason"), [
    ("say_nothing", "The program ended with exit status 0 and left no result."),
    ("mumble", "The program's last word cannot be read: run/result.json: "),
])
def test_a_program_without_a_readable_last_word_fails(world: LocalWorld, behaviour: str, reason: str) -> None:
    seen = world.run(behaviour)
    assert seen.state is RunState.FAILED
    assert str(seen.failure_reason).startswith(reason)


def test_a_program_killed_after_its_last_word_has_succeeded(world: LocalWorld) -> None:
    seen = world.run("die_with_a_result")
    assert (seen.state, seen.result, seen.failure_reason) == (RunState.SUCCEEDED, {}, None)


# Stop


def test_a_stopped_run_is_stopped_even_if_it_then_succeeds(world: LocalWorld) -> None:
    engine = world.open(grace_seconds=PATIENCE)
    engine.submit(world.spec("run", "succeed_when_stopped"))
    world.call()
    engine.stop("run")
    seen = world.end(engine, "run")
    assert (seen.state, seen.result) == (RunState.STOPPED, None)
    assert (world.folder / "runs" / "run" / "result.json").exists()


def test_a_stop_after_the_program_has_succeeded_comes_too_late(world: LocalWorld) -> None:
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


def test_stop_after_the_end_changes_nothing(world: LocalWorld) -> None:
    before = world.run("succeed")
    world.engines[0].stop("run")
    assert world.engines[0].observe("run") == before


def test_a_stop_at_any_moment_of_the_start_ends_in_stopped(world: LocalWorld) -> None:
    engine, other = world.open(), world.open()
    runs = [f"run-{number}" for number in range(12)]
    for number, run_id in enumerate(runs):
        engine.submit(world.spec(run_id, "obey"))
        # Some are stopped at once, some when they are told to have started, some as soon as there is a claim.
        if number % 3 == 1:
            world.hear_of(run_id)
        (engine, other)[number % 2].stop(run_id)
    assert [world.end(engine, run_id).state for run_id in runs] == [RunState.STOPPED] * len(runs)


# The log


def test_the_last_line_of_a_log_need_not_be_whole(world: LocalWorld) -> None:
    world.run("succeed")
    assert world.engines[0].read("run", offset=6, limit=100) == (b"second\nunfinished", 23)
    assert world.engines[0].read("run", offset=6, limit=10) == (b"second\n", 13)


# Services


def test_a_service_is_reached_however_long_the_path_of_its_folder_is(tmp_path: Path) -> None:
    world = LocalWorld(tmp_path, runs="r" * 120)
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


def test_a_service_does_not_wait_behind_others_and_takes_no_core_from_them(world: LocalWorld) -> None:
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


def test_nobody_answers_for_a_run_that_is_no_service_or_none_at_all(world: LocalWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "obey"))
    world.call()
    for run_id in ("run", "unknown"):
        with pytest.raises(OSError):  # noqa: PT011
            engine.connect(run_id)
