"""What the Ray engine does about waiting runs, restarts and trouble, on a real cluster."""

import os
import signal
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.contract.engine_world import ENVIRONMENT, MODULE, RayWorld
from tests.ray_cluster import RayCluster
from tests.serving import wait_for

from despina.core.job import Observation, RunState, TransformWork, Trial
from despina.core.ports import Engine
from despina.engine.ray import Orders, RayEngine
from despina.engine.ray_jobs import RayJobs, RayUnreachable


@pytest.fixture
def world(tmp_path: Path, ray_cluster: RayCluster) -> Iterator[RayWorld]:
    world = RayWorld(tmp_path, ray_cluster)
    yield world
    world.close()


def is_in(world: RayWorld, engine: Engine, run_id: str, state: RunState | None) -> None:
    world.until(lambda: engine.observe(run_id).state is state)


def test_a_run_that_is_stopped_while_it_waits_is_stopped_at_once_and_never_starts(world: RayWorld) -> None:
    engine, other = world.open(), world.open()
    engine.submit(world.spec("all", "obey", share=1))
    call = world.call()
    engine.submit(world.spec("waiting", "obey", share=1))
    assert other.observe("waiting").state is RunState.PENDING
    engine.stop("waiting")
    for each in (engine, other, world.open()):
        is_in(world, each, "waiting", RunState.STOPPED)
    engine.submit(world.spec("waiting", "obey", share=1))
    call.say("succeed")
    assert world.end(engine, "all").state is RunState.SUCCEEDED
    engine.submit(world.spec("next", "obey", share=1))
    assert world.call().run_id == "next", "the cores are free again, and the stopped run did not call"
    assert engine.observe("waiting").state is RunState.STOPPED


def test_a_run_on_a_lost_node_is_lost_and_runs_elsewhere(world: RayWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("all", "obey", share=1))
    head = world.call()
    node = world.cluster.add_node(cores=4)
    engine.submit(world.spec("run-1", "keep_a_daemon"))
    call = world.call()
    assert call.hear() == "daemon"
    is_in(world, engine, "run-1", RunState.RUNNING)
    world.cluster.kill(node)
    assert call.hear() == ""
    lost = world.end(engine, "run-1")
    assert lost.state is RunState.LOST
    assert str(lost.failure_reason).startswith("The run's node has left the cluster. Ray: ")
    head.say("succeed")
    engine.submit(world.spec("run-2", "obey"))
    world.call().say("succeed")
    assert world.end(engine, "run-2").state is RunState.SUCCEEDED
    assert world.end(engine, "all").state is RunState.SUCCEEDED


@pytest.mark.parametrize("killed", ["keeper", "entrypoint", "ray's own process"])
def test_whichever_process_of_a_run_is_killed_the_run_is_lost_and_dead(world: RayWorld, killed: str) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "keep_a_daemon"))
    call = world.call()
    assert call.hear() == "daemon"
    is_in(world, engine, "run", RunState.RUNNING)
    keeper = parent_of(call.supervisor)
    folder = Path(f"/proc/{call.pid}/cwd").readlink()
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    entrypoint = next(pid for pid in pids if pid != keeper and command_of(pid) == command_of(keeper))
    os.kill({"keeper": keeper, "entrypoint": entrypoint, "ray's own process": parent_of(entrypoint)}[killed], signal.SIGKILL)
    assert call.hear() == ""
    assert world.end(engine, "run").state is RunState.LOST
    wait_for("the end of the run's folder", lambda: not folder.parent.exists())


def test_the_processes_that_ray_starts_for_a_run_end_with_it(world: RayWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "keep_a_peer"))
    call = world.call()
    assert call.hear() == "peer"
    engine.stop("run")
    assert world.end(engine, "run").state is RunState.STOPPED
    assert call.hear() == ""


def test_a_service_runs_on_this_machine(world: RayWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("service", "serve", share=0))
    assert world.call().hear() == "listening"
    connection = engine.connect("service")
    connection.close()
    engine.stop("service")
    assert world.end(engine, "service").state is RunState.STOPPED


def test_a_node_with_another_version_or_without_despina_says_so(world: RayWorld) -> None:
    (world.folder / "despina").mkdir()
    (world.folder / "despina" / "__init__.py").touch()  # one that hides the real one
    for run_id, has, environment, reason in (
            ("run-1", "0.0.1", ENVIRONMENT, "and the server 0.0.1: they must be the same."),
            ("run-2", version("despina"), {"PYTHONPATH": str(world.folder)}, "No module named 'despina.engine'")):
        orders = Orders(version=has, module=MODULE, environment=environment, grace_seconds=1.0, cluster=world.cluster.url,
                        deployment=world.deployment)
        engine = RayEngine(jobs=RayJobs(world.cluster.url), orders=orders, on_change=world.note)
        engine.submit(world.spec(run_id, "succeed"))
        seen = world.end(engine, run_id)
        engine.close()
        assert (seen.state, reason in str(seen.failure_reason)) == (RunState.FAILED, True), seen


def test_a_specification_that_no_command_line_holds_fails_the_run(world: RayWorld) -> None:
    engine = world.open()
    work = TransformWork(processed="p", model="m", output="o", trials=tuple(
        Trial(name=uuid.uuid4().hex, parameters={"lr": number / 7919}, ended=uuid.uuid4().hex, seconds=number / 7907)
        for number in range(2500)))
    engine.submit(replace(world.spec("run", "succeed"), work=work))
    seen = engine.observe("run")
    assert seen.state is RunState.FAILED
    assert "use fewer trials" in str(seen.failure_reason)


def test_a_cluster_whose_head_was_replaced_knows_no_run_and_takes_new_ones(world: RayWorld) -> None:
    engine = world.open()
    engine.submit(world.spec("run", "keep_a_daemon"))
    call = world.call()
    assert call.hear() == "daemon"
    is_in(world, engine, "run", RunState.RUNNING)
    world.cluster.kill("head")
    assert call.hear() == ""
    assert engine.observe("run").state is RunState.RUNNING, "a cluster that does not answer is no reason to give a run up"
    assert engine.read("run", offset=0, limit=1) == (b"", 0)
    with pytest.raises(OSError, match="does not answer"):
        engine.submit(world.spec("another", "succeed"))
    world.cluster.restart_head()
    is_in(world, engine, "run", None)
    assert engine.observe("run") == Observation(state=None)

    def submitted() -> bool:
        try:
            engine.submit(world.spec("another", "obey"))
        except RayUnreachable:
            return False  # a head that has just begun may be slow to answer
        return True

    world.until(submitted)
    world.call().say("succeed")
    assert world.end(engine, "another").state is RunState.SUCCEEDED


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[1])


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
