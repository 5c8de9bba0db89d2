"""The rules of ``advance_endpoint``, held against a simulated engine that does whatever engines do, at any moment."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from despina.core.endpoint import Endpoint, EndpointStatus, Version, endpoint_of_run, is_endpoint_run
from despina.core.endpoint_lifecycle import (
    KEPT_LOGS,
    LONGEST_PAUSE_MS,
    MAX_STARTS,
    START_LIMIT_MS,
    Forget,
    Remove,
    advance_endpoint,
    is_settled,
    next_endpoint_moment,
    woken,
)
from despina.core.job import JobKind, Observation, Progress, RunState, ServeWork
from despina.core.lifecycle import Seen, Stop, Submit

START = 1_700_000_000_000


def version(number: int = 1, instances: int = 1) -> Version:
    return Version(number=number, kind=JobKind.MODEL_TRAINING, job_id="tr", model=f"model-{number}", instances=instances,
                   work=ServeWork(artifacts=f"s3://test/model-{number}", processed="s3://test/graph"), memory_mib=64,
                   created_at=START)


def endpoint(instances: int = 1) -> Endpoint:
    return Endpoint(id="my-ep-1", created_at=START, resource_name="my-ep-1-endpoint", upcoming=version(instances=instances))


@dataclass
class World:
    """A recorded endpoint, an engine, and what ever happened."""

    endpoint: Endpoint
    now: int = START
    known: dict[str, Observation] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    removed: bool = False
    was_up: set[int] = field(default_factory=set)
    """Versions that were ever in service."""

    def reconcile(self, *, crash: bool = False) -> None:
        """One pass; with ``crash`` it ends after the write, before anything was done."""
        if self.removed:
            return
        before = self.endpoint
        seen = Seen(now=self.now, runs={replica.spec.run_id: self.known.get(replica.spec.run_id, Observation(state=None))
                                        for replica in before.replicas if replica.state.is_live})
        self.endpoint, commands = advance_endpoint(before, seen)
        self.check(before)
        if crash:
            return
        for command in commands:
            match command:
                case Submit():
                    assert command.run_id in {replica.spec.run_id for replica in self.endpoint.replicas}, "recorded before"
                    if command.run_id not in self.known:
                        self.begun.append(command.run_id)
                        self.known[command.run_id] = Observation(state=RunState.PENDING)
                case Stop():
                    if (self.known.get(command.run_id) or Observation(state=RunState.PENDING)).state in {
                            RunState.PENDING, RunState.RUNNING}:
                        self.known[command.run_id] = Observation(state=RunState.STOPPED)
                case Forget():
                    assert (self.known.get(command.run_id) or Observation(state=RunState.LOST)).state not in {
                        RunState.PENDING, RunState.RUNNING}, "only what has ended is forgotten"
                    self.forgotten.add(command.run_id)
                case Remove():
                    assert self.endpoint.deleting
                    assert not self.live()
                    self.removed = True

    def check(self, before: Endpoint) -> None:
        after = self.endpoint
        if after.serving is not None and after.serving != before.serving:
            own = [replica for replica in after.replicas if replica.version == after.serving.number]
            assert len(own) == after.serving.instances
            assert all(replica.answers for replica in own), "a version comes into service when all its replicas answer"
            self.was_up.add(after.serving.number)
        if before.serving is not None:
            assert after.serving is not None, "what is in service goes on until something else is"
        if before.deleting:
            assert after.deleting
        for wanted in (after.serving, after.upcoming):
            if wanted is not None and not after.deleting:
                places = [replica.place for replica in after.replicas if replica.version == wanted.number]
                assert sorted(places) == list(range(wanted.instances)), "every place has one replica"
        assert len(after.ended) <= KEPT_LOGS
        assert len({replica.spec.run_id for replica in after.replicas}) == len(after.replicas)

    def live(self) -> list[str]:
        return [run_id for run_id, seen in self.known.items() if seen.state in {RunState.PENDING, RunState.RUNNING}]

    def happen(self, choice: int, what: str) -> None:
        live = self.live()
        if not live:
            return
        run_id = live[choice % len(live)]
        if what == "run":
            self.known[run_id] = Observation(state=RunState.RUNNING, started_at=self.now)
        elif what == "answer":
            self.known[run_id] = Observation(state=RunState.RUNNING, started_at=self.now,
                                             progress=Progress(at=self.now, step=1, of=1, unit="ready"))
        else:
            reason = "It was killed." if what in {"LOST", "FAILED"} else None
            self.known[run_id] = Observation(state=RunState[what], failure_reason=reason, started_at=self.now)

    def calm(self) -> None:
        """From here on everything works: what is to run runs and answers, and time passes."""
        for _ in range(200):
            self.reconcile()
            for run_id in self.live():
                self.known[run_id] = Observation(state=RunState.RUNNING, started_at=self.now, progress=Progress(
                    at=self.now, step=1, of=1, unit="ready"))
            self.now += LONGEST_PAUSE_MS


EVENTS = st.one_of(
    st.tuples(st.just("reconcile"), st.booleans()),
    st.tuples(st.just("time"), st.integers(1, START_LIMIT_MS)),
    st.tuples(st.just("update"), st.integers(1, 3)),
    st.tuples(st.just("wake"), st.none()),
    st.tuples(st.sampled_from(["run", "answer", "LOST", "FAILED", "SUCCEEDED", "STOPPED"]), st.integers(0, 5)),
)


def play(world: World, events: list[tuple[str, object]]) -> None:
    for name, argument in events:
        if name == "reconcile":
            world.reconcile(crash=bool(argument))
        elif name == "time":
            world.now += int(str(argument))
        elif name == "update":
            number = world.endpoint.versions + 1
            world.endpoint = replace(world.endpoint, versions=number, failure_reason=None,
                                     upcoming=version(number, int(str(argument))))
        elif name == "wake":
            world.endpoint = woken(world.endpoint)
        else:
            world.happen(int(str(argument)), name)


@settings(max_examples=150, deadline=None)
@given(instances=st.integers(1, 3), events=st.lists(EVENTS, max_size=40))
def test_whatever_happens_an_endpoint_comes_to_rest(instances: int, events: list[tuple[str, object]]) -> None:
    world = World(endpoint(instances))
    play(world, events)
    world.calm()
    after = world.endpoint
    assert after.status in {EndpointStatus.IN_SERVICE, EndpointStatus.FAILED}
    assert (after.status is EndpointStatus.FAILED) == (not world.was_up)
    assert is_settled(after)
    assert sorted(world.live()) == sorted(replica.spec.run_id for replica in after.replicas if replica.state.is_live)
    if after.status is EndpointStatus.FAILED:
        assert after.failure_reason
        assert not world.live()


@settings(max_examples=100, deadline=None)
@given(events=st.lists(EVENTS, max_size=30), more=st.lists(EVENTS, max_size=10))
def test_an_endpoint_can_be_deleted_from_every_state(events: list[tuple[str, object]], more: list[tuple[str, object]]) -> None:
    world = World(endpoint(2))
    play(world, events)
    world.endpoint = replace(world.endpoint, deleting=True)
    play(world, [event for event in more if event[0] != "update"])
    world.calm()
    assert world.removed
    assert not world.live()


@given(events=st.lists(EVENTS, max_size=30))
def test_advancing_again_changes_nothing(events: list[tuple[str, object]]) -> None:
    world = World(endpoint(2))
    play(world, events)
    seen = Seen(now=world.now, runs={replica.spec.run_id: world.known.get(replica.spec.run_id, Observation(state=None))
                                     for replica in world.endpoint.replicas if replica.state.is_live})
    once, _ = advance_endpoint(world.endpoint, seen)
    live = {run_id: observation for run_id, observation in seen.runs.items()
            if run_id in {replica.spec.run_id for replica in once.replicas if replica.state.is_live}}
    again, commands = advance_endpoint(once, replace(seen, runs=live))
    assert again == once
    assert not any(isinstance(command, Forget) for command in commands) or again.deleting


def test_a_new_version_that_cannot_serve_is_given_up_and_the_old_one_goes_on() -> None:
    world = World(endpoint())
    world.calm()
    play(world, [("update", 1), ("reconcile", False), ("FAILED", 1)])
    failed = [run_id for run_id, seen in world.known.items() if seen.state is RunState.FAILED]
    world.reconcile()
    assert len(failed) == 1
    assert (world.endpoint.status, world.endpoint.failure_reason) == (EndpointStatus.IN_SERVICE, "It was killed.")
    assert world.endpoint.serving == version(1)
    assert len(world.endpoint.answering) == 1


def test_a_new_endpoint_whose_replica_dies_again_and_again_has_failed() -> None:
    world = World(endpoint())
    for _ in range(MAX_STARTS):
        world.reconcile()
        assert world.endpoint.status is EndpointStatus.CREATING
        world.now += LONGEST_PAUSE_MS
        world.reconcile()
        world.happen(0, "LOST")
    world.reconcile()
    assert (world.endpoint.status, world.endpoint.failure_reason) == (EndpointStatus.FAILED, "It was killed.")


def test_a_replica_in_service_is_started_again_without_an_end_and_later_and_later() -> None:
    world = World(endpoint())
    world.calm()
    pauses = []
    for _ in range(30):
        world.happen(0, "LOST")
        world.reconcile()
        moment = next_endpoint_moment(world.endpoint, world.now)
        pauses.append(0 if moment is None else moment - world.now)
        world.now += pauses[-1]
        world.reconcile()
        assert len(world.live()) == 1, "it is started when its time has come"
    assert pauses[0] == 0, "at once for the first time"
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_MS
    assert world.endpoint.status is EndpointStatus.IN_SERVICE


def test_a_replica_that_nobody_asks_stays_ended_until_it_is_woken() -> None:
    world = World(endpoint(2))
    world.calm()
    for _ in range(2):
        world.happen(0, "SUCCEEDED")
    for _ in range(5):
        world.reconcile()
    assert world.endpoint.is_asleep
    assert world.endpoint.status is EndpointStatus.IN_SERVICE
    assert not world.live()
    world.endpoint = woken(world.endpoint)
    world.calm()
    assert len(world.endpoint.answering) == 2
    assert not world.endpoint.is_asleep


def test_runs_are_known_by_their_ids() -> None:
    world = World(endpoint())
    world.reconcile()
    [replica] = world.endpoint.replicas
    assert is_endpoint_run(replica.spec.run_id)
    assert endpoint_of_run(replica.spec.run_id) == "my-ep-1"
    assert not is_endpoint_run("modeltraining-endpoint-18bcfe56800-trial001-1")
