"""Passes of the reconciler, cut off and raced with, on both embedded stores and an engine that a test drives by hand."""

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path, PurePath

import pytest
from msgspec.structs import replace
from tests.serving import wait_for

from despina.control import sweeping
from despina.control.basis import JobRules
from despina.control.hints import Hints
from despina.control.jobs import Jobs
from despina.control.reconciler import LOOK_AGAIN_MS, Reconciler
from despina.control.sweeping import LEASE_MS, LONGEST_OUTAGE_MS
from despina.core.errors import ArtifactError, ArtifactsUnavailable, JobEnded
from despina.core.job import Job, JobKind, Observation, Progress, RunSpec, RunState, Status
from despina.core.lifecycle import STALLED_AFTER_MS
from despina.core.location import Location
from despina.core.ports import Entry, JobStore
from despina.core.principal import Caller
from despina.core.requests import CancelJob, StartDataProcessing
from despina.store import open_store

KIND = JobKind.DATA_PROCESSING
REQUEST = StartDataProcessing(id="dp", input_data_s3_location="s3://bucket/in", processed_data_s3_location="s3://bucket/out")


class HandDriven:
    """Engine, logs, artefacts and clock in one: everything that happens, happens by the test's hand."""

    def __init__(self) -> None:
        self.time = 1_700_000_000_000
        self.runs: dict[str, Observation] = {}
        self.submitted: list[str] = []
        self.deleted: list[str] = []
        self.on_observe: Callable[[], object] = lambda: None
        self.submit_error: OSError | None = None
        self.on_delete: Callable[[], object] = lambda: None
        self.latest = 0
        self.foreign = False

    def now(self) -> int:
        return self.time

    def submit(self, spec: RunSpec) -> None:
        if self.submit_error:
            raise self.submit_error
        self.submitted.append(spec.run_id)
        self.runs.setdefault(spec.run_id, Observation(state=RunState.PENDING))

    def observe(self, run_id: str) -> Observation:
        self.on_observe()
        return self.runs.get(run_id, Observation(state=None))

    def stop(self, run_id: str) -> None:
        self.runs[run_id] = Observation(state=RunState.STOPPED)

    def end(self, state: RunState, reason: str | None = None) -> None:
        (run_id,) = self.runs
        self.runs[run_id] = Observation(state=state, result={}, failure_reason=reason, started_at=self.time, finished_at=self.time)

    def forget(self, run_id: str) -> None:
        self.runs.pop(run_id, None)

    def close(self) -> None:
        """Nothing to let go of."""

    def read(self, run_id: str, *, offset: int, limit: int) -> tuple[bytes, int]:
        return b"", offset

    def course(self, run_id: str, *, limit: int) -> tuple[Progress, ...]:
        return ()

    def content(self, location: Location, *, limit: int) -> bytes:
        raise ArtifactError(str(location))

    def get(self, location: Location) -> PurePath:
        raise ArtifactError(str(location))

    def put(self, folder: PurePath, location: Location) -> None:
        raise ArtifactError(str(location))

    def list(self, location: Location) -> Iterator[Entry]:
        if str(location) == REQUEST.input_data_s3_location or self.foreign:
            yield Entry(path="file", size=1)

    def demand(self, role: str | None, action: str, location: Location, paths: Iterable[str] = ("",)) -> None:
        """Roles have no bounds here."""

    def check_writable(self, location: Location) -> None:
        pass

    def latest_ms(self, _: Location) -> int:
        return self.latest

    def delete(self, location: Location) -> int:
        self.on_delete()
        self.deleted.append(str(location))
        return 1


class World:
    def __init__(self, store: JobStore) -> None:
        self.hands = HandDriven()
        self.store = store
        hints = Hints[tuple[JobKind, str]]()
        self.jobs = Jobs(store=store, engine=self.hands, logs=self.hands, artifacts=self.hands, clock=self.hands,
                         hints=hints, rules=JobRules(max_active_jobs=10), bounds=self.hands)
        self.reconciler = Reconciler(store=store, engine=self.hands, artifacts=self.hands, clock=self.hands, hints=hints,
                                     stalled_after=STALLED_AFTER_MS)

    def settle(self) -> None:
        """All passes that are due now."""
        while self.reconciler.step():
            pass

    def later(self, ms: int = LOOK_AGAIN_MS) -> None:
        self.hands.time += ms
        self.settle()

    def clean(self, job_id: str = "dp") -> None:
        """Start a job, and stop it with ``clean``."""
        self.jobs.start(replace(REQUEST, id=job_id), Caller())
        self.jobs.cancel(KIND, CancelJob(id=job_id, clean=True), Caller())
        self.later()
        self.later()
        assert self.jobs.get(KIND, job_id).status is Status.STOPPED

    @property
    def job(self) -> Job:
        return self.jobs.get(KIND, "dp")


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    store = open_store(":memory:" if request.param == "memory" else tmp_path / "despina.db")
    yield World(store)
    store.close()


def test_a_job_is_recorded_submitted_and_completed(world: World) -> None:
    world.jobs.start(REQUEST, Caller())
    assert world.hands.submitted == []
    world.settle()
    assert len(world.hands.submitted) == 1
    world.hands.end(RunState.SUCCEEDED)
    world.later()
    assert world.job.status is Status.COMPLETED
    assert world.store.next_due() is None
    with pytest.raises(JobEnded):
        world.jobs.cancel(KIND, CancelJob(id="dp", clean=True), Caller())
    assert world.hands.deleted == []


def test_a_submission_that_fails_is_repeated(world: World) -> None:
    world.jobs.start(REQUEST, Caller())
    world.hands.submit_error = OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space left"):
        world.settle()
    assert world.job.status is Status.IN_PROGRESS
    world.hands.submit_error = None
    world.later()
    assert len(world.hands.submitted) == 1


def test_a_reconciler_that_dies_in_a_pass_is_taken_over_when_its_lease_ends(world: World) -> None:
    world.jobs.start(REQUEST, Caller())
    now = world.hands.time
    assert world.store.claim(now=now, until=now + LEASE_MS) is not None  # and nothing more is heard of its holder
    world.settle()
    assert world.hands.submitted == []
    world.later(LEASE_MS)
    assert len(world.hands.submitted) == 1


def test_a_wish_that_arrives_during_a_pass_is_not_lost_to_the_completion_it_computed(world: World) -> None:
    world.jobs.start(REQUEST, Caller())
    world.settle()
    world.hands.end(RunState.SUCCEEDED)

    def cancel_once() -> None:
        world.hands.on_observe = lambda: None
        assert world.jobs.cancel(KIND, CancelJob(id="dp", clean=True), Caller()).shown_status is Status.STOPPING

    world.hands.on_observe = cancel_once
    world.later()
    assert world.job.status is Status.STOPPED
    assert world.hands.deleted == [f"{world.job.prefix}/preloading-output", world.job.prefix]


def test_clean_sweeps_after_the_last_run_is_dead_and_before_the_job_is_stopped(world: World) -> None:
    world.jobs.start(REQUEST, Caller())
    world.settle()
    world.jobs.cancel(KIND, CancelJob(id="dp", clean=True), Caller())
    assert world.reconciler.step(), "the runs are told to stop"
    assert world.hands.deleted == []
    assert world.job.shown_status is Status.STOPPING
    world.later()
    assert world.job.status is Status.STOPPED
    assert world.job.swept
    assert len(world.hands.deleted) == 2
    world.jobs.cancel(KIND, CancelJob(id="dp", clean=True), Caller())
    world.later()
    assert len(world.hands.deleted) == 2, "what is swept is not swept again"


def test_clean_leaves_files_of_others_beside_what_the_job_wrote(world: World) -> None:
    world.jobs.start(REQUEST, Caller())
    world.hands.foreign = True
    world.jobs.cancel(KIND, CancelJob(id="dp", clean=True), Caller())
    world.later()
    world.later()
    assert world.job.swept
    assert world.hands.deleted == [f"{world.job.prefix}/preloading-output"]


def failing(error: ArtifactError, tried: list[int], hands: HandDriven) -> Callable[[], object]:
    def fail() -> object:
        tried.append(hands.time)
        raise error
    return fail


def test_a_sweep_that_fails_is_noted_and_tried_again_until_it_is_done(world: World) -> None:
    tried: list[int] = []
    world.hands.on_delete = failing(ArtifactError("s3://bucket/out: permission denied"), tried, world.hands)
    world.clean()
    for _ in range(1_200):
        world.later(1_000)
    stopped = world.job
    assert not stopped.swept
    (note,) = stopped.notes
    assert "permission denied" in note
    pauses = [round((after - before) / 1000) for before, after in pairwise(tried)]
    assert pauses[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert set(pauses[9:]) == {300}
    world.hands.on_delete = lambda: None
    world.later(300_000)
    assert world.job.swept
    assert world.job.notes == ()
    assert world.store.next_due() is None


def test_a_stopped_job_that_waits_to_be_swept_is_swept_at_once_if_asked_again(world: World) -> None:
    tried: list[int] = []
    world.hands.on_delete = failing(ArtifactError("s3://bucket/out: permission denied"), tried, world.hands)
    world.clean()
    for _ in range(10):
        world.later(100_000)
    world.hands.on_delete = lambda: None
    world.jobs.cancel(KIND, CancelJob(id="dp", clean=True), Caller())
    world.settle()
    assert world.job.swept


def test_while_the_server_of_the_artefacts_is_away_one_attempt_is_made_for_all_jobs(world: World) -> None:
    tried: list[int] = []
    world.hands.on_delete = failing(ArtifactsUnavailable("no answer"), tried, world.hands)
    for number in range(5):
        world.clean(f"dp-{number}")
    for _ in range(60):
        world.later(1_000)
    assert len(tried) < 20
    assert len(tried) == len(set(tried))
    world.hands.on_delete = lambda: None
    world.later(LONGEST_OUTAGE_MS)
    assert all(world.jobs.get(KIND, f"dp-{number}").swept for number in range(5))


def test_what_arrives_after_the_death_of_its_sender_is_swept_too(world: World) -> None:
    world.hands.latest = 60_000
    world.jobs.start(REQUEST, Caller())
    world.settle()
    world.hands.end(RunState.LOST)
    world.jobs.cancel(KIND, CancelJob(id="dp", clean=True), Caller())
    world.later()
    world.later()
    assert world.job.status is Status.STOPPED
    assert (world.job.swept, world.job.notes, len(world.hands.deleted)) == (False, (), 2)
    world.later(60_000)
    assert world.job.swept
    assert len(world.hands.deleted) == 4
    assert world.store.next_due() is None


def test_a_job_is_held_while_it_is_swept_however_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "LEASE_MS", 60)

    def look() -> None:
        """A sweep during which the lease would have ended; another reconciler looks again and again."""
        world.hands.on_delete = lambda: None
        world.hands.time += 2 * LEASE_MS
        wait_for("the lease to be renewed", lambda: (world.store.next_due() or 0) > world.hands.time)
        assert world.store.claim(now=world.hands.time, until=world.hands.time + LEASE_MS) is None

    world.hands.on_delete = look
    world.clean()
    assert world.job.swept
    assert len(world.hands.deleted) == 2, "it was swept once"


def test_jobs_of_a_newer_version_are_told_of(
        world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(world.store, "left_alone", lambda: 3)
    thread = threading.Thread(target=world.reconciler.run)
    thread.start()
    try:
        wait_for("a word in the log", lambda: "3 jobs are left to processes of the newer version" in caplog.text)
    finally:
        world.reconciler.close()
        thread.join()


def test_a_job_over_its_time_is_stopped_at_its_deadline_without_any_hint(world: World) -> None:
    request = StartDataProcessing(id="dp", input_data_s3_location="s3://bucket/in", processed_data_s3_location="s3://bucket/out",
                                  processing_time_out_in_seconds=2)
    world.jobs.start(request, Caller())
    world.settle()
    (run_id,) = world.hands.runs
    world.hands.runs[run_id] = Observation(state=RunState.RUNNING, started_at=world.hands.time)
    world.later(LOOK_AGAIN_MS)
    world.later(2_000)
    world.later()
    assert world.job.status is Status.FAILED
    assert "processingTimeOutInSeconds (2 s)" in (world.job.failure_reason or "")


def test_what_has_no_effect_here_is_noted(world: World) -> None:
    request = StartDataProcessing(id="dp", input_data_s3_location="s3://bucket/in", processed_data_s3_location="s3://bucket/out",
                                  processing_instance_type="ml.r5.large", volume_encryption_kms_key="key")
    notes = world.jobs.start(request, Caller()).notes
    assert [note.split()[0] for note in notes] == ["volumeEncryptionKMSKey", "processingInstanceType"]
