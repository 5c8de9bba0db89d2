"""The state machine of an endpoint: ``advance_endpoint(endpoint, seen) -> (endpoint, commands)``, pure and total.

The rules, each with a property test (``tests/property/test_endpoint_lifecycle.py``):

- a version comes into service only when all its replicas answer; until then the version before it stays in service, whole;
- a new version whose program says that it cannot serve, or whose replicas die ``MAX_STARTS`` times in a row, is given up: the
  endpoint goes on with the version before it, or has failed if there is none;
- a replica of the version in service that dies is started anew, at once for the first time and later and later if that does not
  help, without an end;
- a replica that ended because nobody asked it stays ended until the endpoint is woken;
- an endpoint that is to be deleted is gone when its last run is dead;
- a run is recorded before it is submitted, and a recorded run that the engine does not know is submitted (again).
"""

from collections.abc import Iterator

from msgspec.structs import replace

from despina.core.endpoint import Endpoint, Replica, Version, run_of
from despina.core.frozen import Frozen
from despina.core.job import Observation, RunSpec, RunState
from despina.core.lifecycle import Command, Seen, Stop, Submit

MAX_STARTS = 3
"""Attempts at bringing a replica of a new version up."""
START_LIMIT_MS = 600_000
"""How long a replica may take until it answers."""
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 250, 60_000
"""Before a replica is started for the third time, and at most; it doubles in between."""
STEADY_AFTER_MS = 30_000
"""A replica that answered for so long and dies has not failed to start."""
KEPT_LOGS = 3


class Forget(Frozen, frozen=True, kw_only=True):
    """Have the engine delete what it keeps of a run that has ended."""

    run_id: str


class Remove(Frozen, frozen=True, kw_only=True):
    """Delete the endpoint's record: nothing is left of it."""


EndpointCommand = Command | Forget | Remove


def advance_endpoint(endpoint: Endpoint, seen: Seen) -> tuple[Endpoint, tuple[EndpointCommand, ...]]:
    """The endpoint after what was seen, and what is to be done once it is recorded."""
    observed = replace(endpoint, replicas=tuple(_observed(replica, seen) for replica in endpoint.replicas))
    endpoint = _promote(_fill(_bury(observed, seen.now)))
    forgotten = endpoint.ended[:-KEPT_LOGS]
    endpoint = replace(endpoint, ended=endpoint.ended[len(forgotten):])
    if endpoint.deleting and not endpoint.replicas:
        return endpoint, (*(Forget(run_id=run_id) for run_id in (*forgotten, *endpoint.ended)), Remove())
    return endpoint, (*_to_end(endpoint), *_to_submit(endpoint, seen), *(Forget(run_id=run_id) for run_id in forgotten))


def next_endpoint_moment(endpoint: Endpoint, now: int) -> int | None:
    """The next time (ms) at which ``advance_endpoint`` may decide something although nothing was seen; None: there is none."""
    pauses = [replica.not_before for replica in endpoint.replicas if replica.not_before is not None]
    limits = [replica.started_at + START_LIMIT_MS for replica in endpoint.replicas
              if replica.started_at is not None and replica.ready_at is None]
    return min((moment for moment in (*pauses, *limits) if moment > now), default=None)


def is_settled(endpoint: Endpoint) -> bool:
    """Whether no replica is on its way up or down."""
    return not endpoint.deleting and all(_wanted(endpoint, replica) and (replica.answers or replica.state is RunState.SUCCEEDED)
                                         for replica in endpoint.replicas)


def woken(endpoint: Endpoint) -> Endpoint:
    """The endpoint with the places empty of replicas that ended because nobody asked them: they will be filled."""
    return replace(endpoint, replicas=tuple(replica for replica in endpoint.replicas if replica.state is not RunState.SUCCEEDED))


def _observed(replica: Replica, seen: Seen) -> Replica:
    observation = seen.runs.get(replica.spec.run_id)
    if observation is None or not replica.state.is_live:
        return replica
    if observation.state is None:
        # Not submitted yet; or, if it was running, the engine has lost even its memory of it.
        return replica if replica.state is RunState.PENDING else replace(replica, state=RunState.LOST)
    started = observation.started_at if replica.started_at is None else replica.started_at
    return _watched(replace(replica, state=observation.state, started_at=started, ready_at=_ready_at(replica, observation),
                            failure_reason=replica.failure_reason or observation.failure_reason), seen.now)


def _ready_at(replica: Replica, observation: Observation) -> int | None:
    """A serving program reports once: that it answers."""
    if replica.ready_at is None and observation.progress is not None:
        return observation.progress.at
    return replica.ready_at


def _watched(replica: Replica, now: int) -> Replica:
    late = replica.started_at is not None and replica.ready_at is None and now >= replica.started_at + START_LIMIT_MS
    if not late or not replica.state.is_live or replica.failure_reason:
        return replica
    return replace(replica, failure_reason=f"The serving program did not answer within {START_LIMIT_MS // 1000} s.")


def _version(endpoint: Endpoint, number: int) -> Version | None:
    return next((version for version in (endpoint.serving, endpoint.upcoming) if version and version.number == number), None)


def _wanted(endpoint: Endpoint, replica: Replica) -> bool:
    return not endpoint.deleting and _version(endpoint, replica.version) is not None


def _bury(endpoint: Endpoint, now: int) -> Endpoint:
    """Take dead replicas away, and put the next attempt in the place of those that are wanted."""
    for replica in endpoint.replicas:
        if not replica.state.is_live and not (replica.state is RunState.SUCCEEDED and _wanted(endpoint, replica)
                                              and _is_serving(endpoint, replica)):
            endpoint = _replaced(endpoint, replica, now)
    # A version that was given up takes its other dead with it.
    unwanted = [replica for replica in endpoint.replicas if not replica.state.is_live and not _wanted(endpoint, replica)]
    for replica in unwanted:
        endpoint = _without(endpoint, replica)
    return endpoint


def _is_serving(endpoint: Endpoint, replica: Replica) -> bool:
    return endpoint.serving is not None and endpoint.serving.number == replica.version


def _replaced(endpoint: Endpoint, dead: Replica, now: int) -> Endpoint:
    endpoint = _without(endpoint, dead)
    version = _version(endpoint, dead.version)
    if endpoint.deleting or version is None:
        return endpoint
    reason = dead.failure_reason or f"The run {dead.spec.run_id} was ended from outside."
    steady = dead.ready_at is not None and now - dead.ready_at >= STEADY_AFTER_MS
    failures = 0 if steady else dead.failures + 1
    if not _is_serving(endpoint, dead) and (dead.state is RunState.FAILED or failures >= MAX_STARTS):
        return replace(endpoint, upcoming=None, failure_reason=reason)
    pause = min(FIRST_PAUSE_MS * 2 ** min(failures - 2, 20), LONGEST_PAUSE_MS) if failures > 1 else 0
    return _with_new(endpoint, version, dead.place, failures=failures, not_before=now + pause if pause else None, before=reason)


def _without(endpoint: Endpoint, dead: Replica) -> Endpoint:
    others = tuple(replica for replica in endpoint.replicas if replica.spec.run_id != dead.spec.run_id)
    return replace(endpoint, replicas=others, ended=(*endpoint.ended, dead.spec.run_id))


def _with_new(endpoint: Endpoint, version: Version, place: int, *, failures: int = 0, not_before: int | None = None,
              before: str | None = None) -> Endpoint:
    spec = RunSpec(run_id=run_of(endpoint, endpoint.begun), work=version.work, share=0, memory_mib=version.memory_mib)
    new = Replica(version=version.number, place=place, spec=spec, failures=failures, not_before=not_before, before=before)
    return replace(endpoint, replicas=(*endpoint.replicas, new), begun=endpoint.begun + 1)


def _fill(endpoint: Endpoint) -> Endpoint:
    """Give every wanted place a replica."""
    if endpoint.deleting:
        return endpoint
    for version in (endpoint.serving, endpoint.upcoming):
        if version is None:
            continue
        taken = {replica.place for replica in endpoint.replicas if replica.version == version.number}
        for place in range(version.instances):
            if place not in taken:
                endpoint = _with_new(endpoint, version, place)
    return endpoint


def _promote(endpoint: Endpoint) -> Endpoint:
    """Put the upcoming version into service if all its replicas answer."""
    if endpoint.upcoming is not None and not endpoint.deleting and _is_up(endpoint, endpoint.upcoming):
        return replace(endpoint, serving=endpoint.upcoming, upcoming=None, failure_reason=None)
    return endpoint


def _is_up(endpoint: Endpoint, version: Version) -> bool:
    return all(replica.answers for replica in endpoint.replicas if replica.version == version.number)


def _to_end(endpoint: Endpoint) -> Iterator[Stop]:
    for replica in endpoint.replicas:
        if replica.state.is_live and (not _wanted(endpoint, replica) or replica.failure_reason):
            yield Stop(run_id=replica.spec.run_id)


def _to_submit(endpoint: Endpoint, seen: Seen) -> Iterator[Submit]:
    for replica in endpoint.replicas:
        observation = seen.runs.get(replica.spec.run_id)
        unknown = observation is None or observation.state is None
        if (replica.state is RunState.PENDING and unknown and _wanted(endpoint, replica) and not replica.failure_reason
                and seen.now >= (replica.not_before or 0)):
            yield Submit(run_id=replica.spec.run_id)
