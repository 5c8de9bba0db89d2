"""What Ray's word on a job and the run's own record say of a run."""

import msgspec
import pytest

from despina.core.job import Observation, RunState
from despina.engine.ray_jobs import RayJob
from despina.engine.ray_verdict import END, ENDING_MS, LETTING_GO_MS, NEVER_STARTED, is_let_go, judge

NOW = 1_000_000_000
RUNNING = Observation(state=RunState.RUNNING, started_at=NOW - 10)
SUCCEEDED = Observation(state=RunState.SUCCEEDED, result={})
STOPPED = Observation(state=RunState.STOPPED)


def state(job: RayJob | None, record: Observation | None = None, *, marked: bool = False, gone: bool = False) -> RunState | None:
    return judge(job, record, marked=marked, node_gone=gone, now=NOW).state


def job(status: str, *, ended_ago: int = 0, code: int | None = None, error: str | None = None) -> RayJob:
    end = None if status in {"PENDING", "RUNNING"} else NOW - ended_ago
    return RayJob(status=status, message="word", end_time=end, driver_exit_code=code, error_type=error)


def test_a_job_that_ray_does_not_know_is_an_unknown_run() -> None:
    assert judge(None, None, marked=False, node_gone=False, now=NOW) == Observation(state=None)


def test_a_job_may_stand_for_a_run_that_ended_before_it_began() -> None:
    end = Observation(state=RunState.STOPPED, finished_at=5)
    standing = RayJob(status="PENDING", metadata={END: msgspec.json.encode(end).decode()})
    assert judge(standing, None, marked=False, node_gone=False, now=NOW) == end


@pytest.mark.parametrize(("status", "marked", "wanted"), [
    ("PENDING", False, RunState.PENDING), ("RUNNING", False, RunState.PENDING), ("STOPPED", False, RunState.STOPPED),
    ("PENDING", True, RunState.STOPPED), ("RUNNING", True, RunState.STOPPED), ("FAILED", True, RunState.STOPPED),
])
def test_a_run_whose_program_has_not_begun(status: str, marked: bool, wanted: RunState) -> None:
    assert state(job(status), marked=marked) is wanted


def test_a_run_that_ray_gave_up_to_wait_for_may_be_given_to_it_again() -> None:
    given_up = job("FAILED", error=NEVER_STARTED, ended_ago=LETTING_GO_MS + 1)
    assert state(given_up) is None
    assert state(given_up, marked=True) is RunState.STOPPED
    assert is_let_go(given_up, NOW)
    assert not is_let_go(job("FAILED"), NOW)
    assert not is_let_go(job("RUNNING"), NOW)


def test_a_node_that_cannot_start_a_run_fails_it_and_any_other_end_before_the_beginning_loses_it() -> None:
    assert state(job("FAILED", code=127)) is RunState.FAILED
    assert state(job("FAILED", code=-9)) is RunState.LOST
    assert state(job("FAILED")) is RunState.LOST
    assert state(job("SUCCEEDED", code=0)) is RunState.LOST


@pytest.mark.parametrize(("status", "wanted"), [("FAILED", RunState.LOST), ("STOPPED", RunState.STOPPED)])
def test_a_run_that_has_begun_is_over_when_its_node_has_said_so_or_cannot_any_more(status: str, wanted: RunState) -> None:
    assert state(job("RUNNING"), RUNNING) is RunState.RUNNING
    assert state(job("RUNNING"), None, gone=True) is RunState.RUNNING
    assert state(job(status), RUNNING) is RunState.RUNNING
    assert state(job(status), RUNNING, gone=True) is wanted
    assert state(job(status, ended_ago=ENDING_MS + 1), RUNNING) is wanted


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "FAILED", "STOPPED"])
def test_what_a_node_said_of_a_runs_end_holds(status: str) -> None:
    assert judge(job(status), SUCCEEDED, marked=False, node_gone=False, now=NOW) == SUCCEEDED


def test_a_sigterm_was_a_stop_if_ray_says_so() -> None:
    assert state(job("RUNNING"), STOPPED) is RunState.RUNNING
    assert state(job("STOPPED"), STOPPED) is RunState.STOPPED
    assert state(job("FAILED"), STOPPED) is RunState.LOST
    assert state(job("FAILED"), STOPPED, marked=True) is RunState.STOPPED


def test_a_long_message_is_quoted_by_its_end() -> None:
    talkative = RayJob(status="FAILED", message="x" * 5000 + "last")
    reason = judge(talkative, None, marked=False, node_gone=False, now=NOW).failure_reason
    assert reason is not None
    assert reason.endswith("last")
    assert len(reason) < 700
