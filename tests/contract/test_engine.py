"""What every engine does with one run, with real processes."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contract.engine_world import LocalWorld, RayWorld, World
from tests.serving import wait_for

from despina.core.job import Observation, Progress, RunState
from despina.core.ports import Engine, RunLogs, WholeEngine
from despina.engine.local import LocalEngine

AnyWorld = World[WholeEngine] | World[LocalEngine]


@pytest.fixture(params=["local", "ray"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AnyWorld]:
    local = request.param == "local"
    world: AnyWorld = LocalWorld(tmp_path) if local else RayWorld(tmp_path, request.getfixturevalue("ray_cluster"))
    yield world
    world.close()


def expect(read: Callable[[], tuple[bytes, int]], wanted: tuple[bytes, int]) -> None:
    """What a program has written may be a moment under way."""
    wait_for("the log", lambda: read() == wanted)


def forgets(engine: Engine, run_id: str) -> bool:
    try:
        engine.forget(run_id)
    except ValueError:
        return False
    return True


# How runs end


def test_a_run_succeeds_with_its_result_and_its_latest_progress(world: AnyWorld) -> None:
    seen = world.run("succeed")
    assert seen.state is RunState.SUCCEEDED
    assert seen.result is not None
    environment = seen.result["environment"]
    assert environment.pop("GIVEN") == "given"
    threads = environment["OMP_NUM_THREADS"]
    assert environment == dict.fromkeys(environment, threads)
    assert int(threads) >= 1
    assert seen.progress == Progress(at=2, step=2, of=2, unit="epoch", metric="acc", value=0.5, best=0.75)
    assert [said.step for said in world.engines[0].course("run", limit=10_000)] == [1, 2]
    assert [said.step for said in world.engines[0].course("run", limit=60)] == [1]
    assert seen.usage is not None
    assert seen.usage.cpu_seconds > 0
    assert seen.usage.peak_memory_bytes > 2**20
    assert seen.failure_reason is None
    assert seen.started_at is not None
    assert seen.finished_at is not None
    assert seen.started_at <= seen.finished_at
    assert not Path(seen.result["cwd"]).exists() or isinstance(world, LocalWorld)
    assert world.engines[0].read("run", offset=6, limit=100) == (b"second\nunfinished", 23)


def test_a_program_fails_with_its_own_reason(world: AnyWorld) -> None:
    seen = world.run("refuse")
    assert (seen.state, seen.failure_reason) == (RunState.FAILED, "The file nodes.csv has no column '~id'.")


def test_a_crash_fails_with_the_end_of_the_log(world: AnyWorld) -> None:
    seen = world.run("crash")
    assert (seen.state, seen.failure_reason) == (RunState.FAILED, "The program ended with exit status 3: last line")


def test_a_killed_program_is_lost(world: AnyWorld) -> None:
    seen = world.run("die")
    reason = "The program was killed by SIGKILL."
    assert (seen.state, seen.result, seen.failure_reason) == (RunState.LOST, None, reason)


def test_what_a_program_leaves_behind_is_dead_when_the_run_is_over(world: AnyWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "leave_a_daemon"))
    call = world.call()
    assert call.hear() == "daemon"
    assert world.end(engine, "run").state is RunState.SUCCEEDED
    assert call.hear() == ""


# Stop


def test_stop_ends_daemons_that_are_deaf_to_sigterm(world: AnyWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "keep_a_daemon"))
    call = world.call()
    assert call.hear() == "daemon"
    world.until(lambda: engine.observe("run").state is RunState.RUNNING)
    engine.stop("run")
    engine.stop("run")
    assert world.end(engine, "run").state is RunState.STOPPED
    assert call.hear() == ""


def test_stop_before_submit_starts_nothing(world: AnyWorld) -> None:
    engine = world.open()
    engine.stop("run")
    engine.submit(world.spec("run", "succeed"))
    assert engine.observe("run").state is RunState.STOPPED
    engine.submit(world.spec("next", "succeed"))
    assert world.end(engine, "next").state is RunState.SUCCEEDED  # the engine has looked at both
    assert engine.observe("run").state is RunState.STOPPED
    assert engine.read("run", offset=0, limit=1) == (b"", 0)


def test_a_sigterm_that_is_not_the_engines_loses_the_run_and_ends_the_tree(world: AnyWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "keep_a_daemon"))
    call = world.call()
    assert call.hear() == "daemon"
    os.kill(call.supervisor, signal.SIGTERM)
    seen = world.end(engine, "run")
    assert (seen.state, seen.failure_reason) == (RunState.LOST, "The program was killed by SIGTERM.")
    assert call.hear() == ""


# Runs are known by their ids


def test_a_run_submitted_twice_runs_once(world: AnyWorld) -> None:
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


def test_an_unknown_run_has_no_state(world: AnyWorld) -> None:
    assert world.open().observe("nobody") == Observation(state=None)
    assert world.open().read("nobody", offset=0, limit=10) == (b"", 0)


@pytest.mark.parametrize("run_id", ["", ".", "..", ".hidden", "a/b", "../run", "a b", "ä", "a\n", "x" * 151])
def test_an_id_that_is_no_plain_name_is_refused(world: AnyWorld, run_id: str) -> None:
    engine = world.open()
    verbs: list[Callable[[], object]] = [
        lambda: engine.submit(replace(world.spec("run", "succeed"), run_id=run_id)), lambda: engine.observe(run_id),
        lambda: engine.stop(run_id),
        lambda: engine.read(run_id, offset=0, limit=1),
    ]
    for verb in verbs:
        with pytest.raises(ValueError, match="1-150 letters"):
            verb()


# The log


def test_the_log_comes_in_whole_lines_until_the_run_is_over(world: AnyWorld) -> None:
    logs: RunLogs = world.open()
    world.engines[0].submit(world.spec("run", "obey"))
    call = world.call()
    call.say("one")
    assert call.hear() == "printed"
    expect(lambda: logs.read("run", offset=0, limit=100), (b"one\n", 4))
    call.say("three")
    assert call.hear() == "printed"
    expect(lambda: logs.read("run", offset=0, limit=7), (b"one\n", 4))
    expect(lambda: logs.read("run", offset=4, limit=100), (b"three\n", 10))
    expect(lambda: logs.read("run", offset=4, limit=3), (b"thr", 7))  # a line longer than the limit
    expect(lambda: logs.read("run", offset=10, limit=100), (b"", 10))
    call.say("fo~")
    assert call.hear() == "printed"
    expect(lambda: logs.read("run", offset=10, limit=100), (b"", 10))
    expect(lambda: logs.read("run", offset=4, limit=100), (b"three\n", 10))
    call.say("ur")
    assert call.hear() == "printed"
    expect(lambda: logs.read("run", offset=10, limit=100), (b"four\n", 15))
    call.say("succeed")
    world.end(world.engines[0], "run")


def test_a_run_that_has_ended_is_forgotten_with_all_that_was_kept_of_it(world: AnyWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "succeed"))
    ended = world.end(engine, "run").finished_at
    assert ended is not None
    wait_for("the end of the run", lambda: "run" in engine.ended_before(ended + 60_000))
    assert "run" not in engine.ended_before(ended - 60_000)
    wait_for("the engine to let go of the run", lambda: forgets(engine, "run"))
    assert "run" not in engine.ended_before(ended + 60_000)
    assert engine.observe("run") == Observation(state=None)
    assert engine.read("run", offset=0, limit=1) == (b"", 0)
    assert engine.course("run", limit=1) == ()
    engine.forget("run")
    engine.submit(world.spec("run", "refuse"))
    assert world.end(engine, "run").state is RunState.FAILED, "the id is free again"


def test_a_run_that_is_live_is_not_forgotten(world: AnyWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "obey"))
    world.call()
    with pytest.raises(ValueError, match="has not ended"):
        engine.forget("run")
    world.until(lambda: engine.observe("run").state is RunState.RUNNING)


def test_a_long_log_is_read_piece_by_piece(world: AnyWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "babble"))
    assert world.end(engine, "run").state is RunState.SUCCEEDED
    text, offset = b"", 0
    while True:
        piece, after = engine.read("run", offset=offset, limit=200_000)
        assert after == offset + len(piece)
        if not piece:
            break
        text, offset = text + piece, after
    assert text == b"".join(b"line %d xxxxxxxxxx\n" % number for number in range(100_000))


# Engines come and go


def test_a_new_engine_finds_the_running_run_and_its_end(world: AnyWorld) -> None:
    first = world.open()
    first.submit(world.spec("run", "obey"))
    call = world.call()
    first.close()
    second = world.open()
    world.until(lambda: second.observe("run").state is RunState.RUNNING)
    call.say("succeed")
    assert world.end(second, "run").state is RunState.SUCCEEDED
