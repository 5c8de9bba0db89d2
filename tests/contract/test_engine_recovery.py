"""What local engines do with many runs, with each other and with trouble: restarts, kills, full disks. All processes are real."""

import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from tests.contract.engine_world import PATIENCE, REPOSITORY, LocalWorld

import despina.engine.supervisor
from despina.core.errors import NotOffered
from despina.core.job import RunState
from despina.core.ports import Engine
from despina.engine import journal, open_engine, open_local
from despina.engine.processes import kill_marked


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    world = LocalWorld(tmp_path)
    yield world
    world.close()


# Engines come and go


def test_an_engine_tells_of_a_run_that_another_one_started(world: LocalWorld) -> None:
    first, second = world.open(), world.open()
    first.submit(world.spec("run", "obey"))
    call = world.call()
    assert second.observe("run").state is RunState.RUNNING
    first.close()
    call.say("succeed")
    assert world.end(second, "run").state is RunState.SUCCEEDED


def test_a_new_engine_starts_what_waits(world: LocalWorld) -> None:
    first = world.open(cores=1)
    first.submit(world.spec("running", "obey"))
    call = world.call()
    first.submit(world.spec("waiting", "succeed"))
    first.close()
    second = world.open(cores=1)
    assert second.observe("waiting").state is RunState.PENDING
    call.say("succeed")
    assert world.end(second, "waiting").state is RunState.SUCCEEDED


def test_a_run_outlives_the_process_that_started_it(world: LocalWorld) -> None:
    spec = msgspec.json.encode(world.spec("run", "obey"))
    command = [sys.executable, "-m", "tests.contract.engine_holder", str(world.folder / "runs"), spec.decode()]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}) as holder:
        try:
            call = world.call()
        finally:
            holder.kill()
    engine = world.open()
    assert engine.observe("run").state is RunState.RUNNING
    call.say("succeed")
    assert world.end(engine, "run").result == {"obeyed": True}


def test_a_supervisor_whose_engine_died_before_the_claim_starts_nothing(world: LocalWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "obey"))
    world.call()
    script = Path(despina.engine.supervisor.__file__)
    for claim in (None, (world.folder / "runs" / "run" / "claim").read_bytes()):  # nobody's, and another supervisor's
        folder = world.folder / f"claimed-{claim is not None}"
        folder.mkdir()
        if claim:
            (folder / "claim").write_bytes(claim)
        before = sorted(folder.iterdir())
        subprocess.run([sys.executable, "-I", "-S", script, folder, "1", "0", sys.executable, "-c", "pass"],
                       stdin=subprocess.DEVNULL, check=True, timeout=PATIENCE)
        assert sorted(folder.iterdir()) == before


def test_a_run_whose_supervisor_is_killed_is_lost_and_dead(world: LocalWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "keep_a_daemon"))
    call = world.call()
    assert call.hear() == "daemon"
    os.kill(world.supervisor("run"), signal.SIGKILL)
    seen = world.end(engine, "run")
    assert seen.state is RunState.LOST
    assert seen.failure_reason == "The run's processes were killed from outside, or the machine was restarted."
    assert call.hear() == ""
    assert kill_marked({"DESPINA_RUN_ID": "run", "DESPINA_RUN_FOLDER": str(world.folder / "runs" / "run")}) == 0


def test_a_program_dies_with_its_supervisor_though_no_engine_is_there(world: LocalWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "obey"))
    call = world.call()
    engine.close()
    os.kill(world.supervisor("run"), signal.SIGKILL)
    assert call.hear() == ""
    assert world.end(world.open(), "run").state is RunState.LOST


def test_a_run_of_before_the_machines_restart_is_lost(world: LocalWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "obey"))
    world.call()
    mine = world.claim("run")
    assert mine.supervisor is not None
    # The process of the claim lives, and is another one: of another boot, or one that got the same id later.
    strangers = (msgspec.structs.replace(mine.supervisor, boot_id="another"),
                 msgspec.structs.replace(mine.supervisor, start_time=mine.supervisor.start_time - 1))
    for number, stranger in enumerate(strangers):
        folder = world.folder / "runs" / f"old-{number}"
        folder.mkdir()
        (folder / "spec.json").write_bytes(msgspec.json.encode(world.spec(folder.name, "obey")))
        (folder / "claim").write_bytes(msgspec.json.encode(msgspec.structs.replace(mine, supervisor=stranger)))
        assert engine.observe(folder.name).state is RunState.LOST
        engine.stop(folder.name)
    assert engine.observe("run").state is RunState.RUNNING


def test_a_run_whose_folder_was_deleted_is_unknown_and_can_run_again(world: LocalWorld) -> None:
    world.run("refuse")
    engine = world.engines[0]
    shutil.rmtree(world.folder / "runs" / "run")
    assert engine.observe("run").state is None
    engine.submit(world.spec("run", "obey"))
    world.call().say("succeed")
    assert world.end(engine, "run").state is RunState.SUCCEEDED


# Slots


def test_runs_start_in_the_order_of_their_submission_and_small_ones_do_not_overtake(world: LocalWorld) -> None:
    engine = world.open(cores=8, memory_mib=1000)
    engine.submit(world.spec("a", "obey", memory_mib=600))
    call = world.call()
    for run_id, memory_mib in (("big", 9999), ("small", 1)):
        engine.submit(world.spec(run_id, "obey", memory_mib=memory_mib))
    engine.submit(world.spec("stopped", "obey"))
    engine.stop("stopped")
    world.hear_of("stopped")  # so the engine has looked at the others, too
    assert {engine.observe(run_id).state for run_id in ("big", "small")} == {RunState.PENDING}
    call.say("succeed")
    call = world.call()
    assert call.run_id == "big"
    assert engine.observe("small").state is RunState.PENDING
    call.say("succeed")
    assert world.call().run_id == "small"


def test_a_run_that_is_stopped_while_it_waits_makes_way(world: LocalWorld) -> None:
    engine = world.open(cores=8, memory_mib=1000)
    engine.submit(world.spec("a", "obey", memory_mib=600))
    world.call()
    engine.submit(world.spec("big", "obey", memory_mib=600))
    engine.submit(world.spec("small", "obey", memory_mib=1))
    engine.stop("big")
    assert world.call().run_id == "small"
    assert engine.observe("big").state is RunState.STOPPED


def test_two_engines_on_one_folder_do_not_grant_more_than_there_is(world: LocalWorld) -> None:
    engines = [world.open(cores=2), world.open(cores=2)]
    runs = [f"run-{number}" for number in range(8)]

    def submit(engine: Engine, mine: list[str]) -> None:
        for run_id in mine:
            engine.submit(world.spec(run_id, "succeed", share=2))

    threads = [threading.Thread(target=submit, args=(engines[part], runs[part::2])) for part in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    seen = [world.end(engines[0], run_id) for run_id in runs]
    assert {observation.state for observation in seen} == {RunState.SUCCEEDED}
    for observation in seen:
        beside = [other for other in seen if (other.started_at or 0) < (observation.finished_at or 0)
                  and (observation.started_at or 0) < (other.finished_at or 0)]
        at_once = [sum((other.started_at or 0) <= (moment.started_at or 0) < (other.finished_at or 0) for other in beside)
                   for moment in beside]
        assert max(at_once) <= 2
    for engine in engines:
        assert {engine.observe(run_id).state for run_id in runs} == {RunState.SUCCEEDED}


# Trouble


@contextmanager
def full_disk() -> Iterator[None]:
    """Every write to a file fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_submit_that_cannot_be_kept_leaves_the_run_unknown(world: LocalWorld) -> None:
    engine = world.open()
    with full_disk(), pytest.raises(OSError, match="File too large"):
        engine.submit(world.spec("run", "succeed"))
    assert engine.observe("run").state is None
    engine.submit(world.spec("run", "succeed"))
    assert world.end(engine, "run").state is RunState.SUCCEEDED


class Alarm(logging.Handler):
    """Goes off when the engine logs."""

    def __init__(self) -> None:
        super().__init__()
        self.went_off = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.went_off.set()


def test_a_run_that_cannot_be_claimed_for_want_of_disk_waits_until_it_can(world: LocalWorld) -> None:
    engine = world.open(cores=1)
    engine.submit(world.spec("run", "obey"))
    call = world.call()
    engine.submit(world.spec("waiting", "succeed"))
    alarm = Alarm()
    logger = logging.getLogger("despina.engine")
    logger.addHandler(alarm)
    try:
        with full_disk():
            call.say("succeed")
            assert alarm.went_off.wait(PATIENCE)
            assert engine.observe("waiting").state is RunState.PENDING
    finally:
        logger.removeHandler(alarm)
    assert world.end(engine, "waiting").state is RunState.SUCCEEDED


def test_a_folder_with_unreadable_files_stops_no_other_run(world: LocalWorld, caplog: pytest.LogCaptureFixture) -> None:
    broken = world.folder / "runs" / "broken"
    broken.mkdir(parents=True)
    (broken / "spec.json").write_text("{")
    assert world.run("succeed").state is RunState.SUCCEEDED
    assert "broken" in caplog.text


def test_a_listener_that_fails_stops_no_run(world: LocalWorld) -> None:
    told = threading.Event()

    def fail(_: str) -> None:
        told.set()
        raise LookupError

    engine = open_local(folder=world.folder / "runs", module="tests.contract.engine_programs",
                        environment={"PYTHONPATH": str(REPOSITORY)}, on_change=fail)
    world.engines.append(engine)
    engine.submit(world.spec("run", "obey"))
    call = world.call()
    assert told.wait(PATIENCE)
    call.say("succeed")
    assert world.end(world.open(), "run").state is RunState.SUCCEEDED


@pytest.mark.parametrize("url", ["ray", "ray://", "ray://host", "ray://host:0", "ray://host:99999", "ray://ho st:1", "dask://host:1"])
def test_other_engines_are_not_offered(tmp_path: Path, url: str) -> None:
    with pytest.raises(NotOffered, match=f"'{url}' of the setting 'engine'"):
        open_engine(url, folder=tmp_path, module="m", environment={}, on_change=lambda _: None)


def test_engines_keep_seeing_each_others_runs_when_their_journal_is_begun_anew(
        world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_LONGEST", 40)
    one, other = world.open(cores=1), world.open(cores=1)
    for number in range(4):
        (one, other)[number % 2].submit(world.spec(f"run-{number}", "obey", share=1))
    for number in range(4):
        call = world.call()
        assert call.run_id == f"run-{number}", "one at a time, in the order of their submission"
        call.say("succeed")
        assert world.end((one, other)[number % 2], call.run_id).state is RunState.SUCCEEDED
