"""Old runs are forgotten, and nothing else: on a real store and a real engine, with the clock of a later day."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos import stories
from tests.serving import Server, wait_for

from despina import app
from despina.control.retention import Retention
from despina.core.errors import JobNotFound
from despina.core.job import Status
from despina.core.ports import ListQuery
from despina.core.principal import Caller
from despina.core.requests import ReadJobLogs, StartDataProcessing
from despina.settings import Settings

DAY_MS = 86_400_000
REPOSITORY = Path(__file__).parents[3]


class LaterClock(app.SystemClock):
    def __init__(self, later: int) -> None:
        self._later = later

    def now(self) -> int:
        return super().now() + self._later


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[app.Parts]:
    """A control plane that does not reconcile yet."""
    monkeypatch.setattr(app, "PROGRAMS", stories.PROGRAMS)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    parts = app.Parts(Settings(data_dir=tmp_path / "data"))
    for name in ("finite", "endless"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    yield parts
    for run_id in [folder.name for folder in parts.folders["runs"].iterdir() if folder.is_dir()]:
        parts.engine.stop(run_id)
    wait_for("the end of all", lambda: not Server(tmp_path / "data").processes())
    parts.close()


def start(parts: app.Parts, tmp_path: Path, job_id: str, export: str = "finite") -> str:
    """Start a job; its run's id."""
    request = StartDataProcessing(id=job_id, input_data_s3_location=f"file://{tmp_path / export}",
                                  processed_data_s3_location="s3://bucket/processed")
    return parts.jobs.start(request, Caller()).runs[0].id


def retention(parts: app.Parts, *, days: int) -> Retention:
    """One that keeps runs for a day, so many days from now."""
    return Retention(jobs=parts.stores.jobs, endpoints=parts.stores.endpoints, engine=parts.engine,
                     clock=LaterClock(days * DAY_MS), keep_ms=DAY_MS)


def kept(parts: app.Parts) -> set[str]:
    return {folder.name for folder in parts.folders["runs"].iterdir() if folder.is_dir()}


def test_old_runs_are_forgotten_and_their_jobs_stay(parts: app.Parts, tmp_path: Path) -> None:
    parts.start()
    old = start(parts, tmp_path, "old")
    wait_for("its end", lambda: parts.jobs.get(stories.PROCESSING, "old").status.is_terminal)
    busy = start(parts, tmp_path, "busy", "endless")
    wait_for("its start", lambda: parts.engine.observe(busy).started_at)
    runs = parts.folders["runs"]
    shutil.copytree(runs / old, runs / old.replace("-old-", "-nobodys-"))  # of a job that no record knows
    (runs / ".gone-half").mkdir()

    assert retention(parts, days=0).step() == 0
    assert kept(parts) == {old, busy, old.replace("-old-", "-nobodys-")}, "what was half deleted has gone"
    (runs / "dataprocessing-empty-1-process-1").mkdir()
    assert retention(parts, days=2).step() == 3
    assert kept(parts) == {busy}
    assert retention(parts, days=2).step() == 0

    assert parts.stores.jobs.list_ids(ListQuery(kind=stories.PROCESSING)).ids == ("busy", "old")
    assert parts.jobs.get(stories.PROCESSING, "old").status is Status.COMPLETED
    with pytest.raises(JobNotFound, match=r"not kept any more.*run_retention_days"):
        parts.jobs.read_logs(stories.PROCESSING, ReadJobLogs(id="old"))


def test_what_a_job_has_not_seen_yet_is_kept_however_old(parts: app.Parts, tmp_path: Path) -> None:
    run_id = start(parts, tmp_path, "unseen")
    parts.engine.submit(parts.jobs.get(stories.PROCESSING, "unseen").runs[0].spec)
    wait_for("its end", lambda: (state := parts.engine.observe(run_id).state) and not state.is_live)
    assert retention(parts, days=90).step() == 0
    parts.start()
    wait_for("its end", lambda: parts.jobs.get(stories.PROCESSING, "unseen").status is Status.COMPLETED)
    assert retention(parts, days=90).step() == 1
