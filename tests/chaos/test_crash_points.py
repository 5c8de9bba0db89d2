"""SIGKILL at every point: before each call by which a control plane, a supervisor or a program changes what is on the disk.

A story is lived through once without a kill, which tells how many points it has; then once for each point: killed there, looked at,
and told again from the start by a client that repeats its calls to the next control plane.
"""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.chaos import small_programs, stories
from tests.chaos.stories import PROCESSING, TRAINING, Client
from tests.preloaded import compiled
from tests.serving import PATIENCE_SECONDS, Server, wait_for

from despina import app
from despina.control.sweeping import LEASE_MS
from despina.core.job import Job, Status
from despina.core.location import Location
from despina.core.ports import ListQuery

REPOSITORY = Path(__file__).parents[2]
CONTROL_PLANE, SUPERVISOR, PROGRAM = "tests.chaos.stories", "/supervisor.py", "tests.chaos.small_programs"
AT_ONCE = 2


class LaterClock(app.SystemClock):
    """That of who comes when the leases of the dead are over."""

    def now(self) -> int:
        return super().now() + LEASE_MS + 1000


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``crash_points.c``, compiled."""
    return compiled(Path(__file__).with_name("crash_points.c"), tmp_path_factory.mktemp("crash"))


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    for name in ("finite", "endless"):
        (folder / name).mkdir()
        (folder / name / name).touch()
    return folder


class Crashes:
    """Tells stories on copies of a data directory in which a neighbour's job has completed."""

    def __init__(self, folder: Path, library: Path, exports: Path) -> None:
        self._folder, self._library, self._exports = folder, library, exports
        self._template = folder / "template"
        client = Client(self._template, exports, print)
        client.process("neighbour")
        client.wait_until_ended("neighbour")
        client.parts.close()

    def live(self, story: str, victim: str, at: int) -> tuple[Path, list[str], list[str]]:
        """The data directory, the calls that the victim came to, and what the client was told; killed before call ``at``."""
        folder = self._folder / f"{story}-{at}"
        shutil.copytree(self._template, folder / "data")
        journal = folder / "journal"
        journal.touch()
        done = subprocess.run(
            [sys.executable, "-m", CONTROL_PLANE, folder / "data", story, self._exports], stdout=subprocess.PIPE, text=True,
            timeout=PATIENCE_SECONDS, check=False, cwd=REPOSITORY,
            env={**os.environ, "LD_PRELOAD": str(self._library), "CRASH_IN": victim, "CRASH_AT": str(at),
                 "CRASH_MARK": str(folder / "mark"), "CRASH_JOURNAL": str(journal), "PYTHONPATH": str(REPOSITORY)})
        assert done.returncode in {0, -9}, done
        return folder / "data", journal.read_text(encoding="utf-8").splitlines(), done.stdout.splitlines()

    def survive(self, story: str, victim: str, at: int) -> None:
        """Kill at a point, look, and tell the story again."""
        data_dir, calls, told = self.live(story, victim, at)
        where = f"{story}: before {calls[at - 1] if len(calls) >= at else 'nothing'}, point {at} of the {victim}"
        client = Client(data_dir, self._exports, told.append)
        try:
            check_what_was_told(client, told, where)
            stories.STORIES[story](client)
            kind = TRAINING if story == "train" else PROCESSING
            check_the_end(client, client.job(kind, "one"), data_dir, where)
            assert (client.job(kind, "one").status is Status.STOPPED) == (story == "cancel") or story == "race", where
        finally:
            client.parts.close()
        shutil.rmtree(data_dir.parent)


def check_what_was_told(client: Client, told: list[str], where: str) -> None:
    """What was answered is so; what was not answered is so wholly, or not at all."""
    store = client.parts.stores.jobs
    jobs = {job.id: job for kind in (PROCESSING, TRAINING)
            for job_id in store.list_ids(ListQuery(kind=kind)).ids if (job := store.get(kind, job_id))}
    for answer in told:
        verb, job_id = answer.split()
        assert job_id in jobs, where
        if verb != "started":
            assert jobs[job_id].stop_requested, where
            assert jobs[job_id].clean or verb == "cancelled", where
    assert set(jobs) <= {"neighbour", "one"}, where


def check_the_end(client: Client, job: Job, data_dir: Path, where: str) -> None:
    """One right end, nothing done twice, nobody left over, and each job's files there or gone."""
    assert job.status in {Status.COMPLETED, Status.STOPPED}, (where, job)
    assert job.swept == (job.status is Status.STOPPED), where
    done = Counter(output.parent.name.rpartition("-")[0] for output in data_dir.glob("runs/*/progress.jsonl")
                   for line in output.read_text(encoding="utf-8").splitlines() if line == small_programs.DONE)
    assert not done or max(done.values()) == 1, (where, done)
    wait_for("the end of all processes", lambda: not Server(data_dir).processes())
    neighbour = client.job(PROCESSING, "neighbour")
    assert neighbour.status is Status.COMPLETED, where
    for complete in (neighbour, job):
        outputs = {work.output for run in complete.runs if hasattr(work := run.spec.work, "output")}
        found = {f"{output}/{entry.path}" for output in outputs for entry in client.artifacts.list(Location.parse(output))}
        wanted = {f"{output}/{name}" for output in outputs for name in small_programs.FILES}
        assert found == (wanted if complete.status is Status.COMPLETED else set()), where
    if job.swept:
        assert not Server(data_dir).path(job.prefix).exists(), where


@pytest.fixture
def crashes(tmp_path: Path, library: Path, exports: Path, monkeypatch: pytest.MonkeyPatch) -> Crashes:
    monkeypatch.setattr(app, "PROGRAMS", stories.PROGRAMS)
    monkeypatch.setattr(app, "SystemClock", LaterClock)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return Crashes(tmp_path, library, exports)


@pytest.mark.parametrize(("story", "victim", "every"), [
    ("complete", CONTROL_PLANE, 4), ("cancel", CONTROL_PLANE, 4), ("race", CONTROL_PLANE, 8), ("train", CONTROL_PLANE, 8),
    ("complete", PROGRAM, 4), ("complete", SUPERVISOR, 1)], ids=lambda name: str(name).rpartition(".")[2].strip("/"))
def test_killed_at_every_point(crashes: Crashes, story: str, victim: str, every: int) -> None:
    """In one run every fourth or eighth point, others each day; with DESPINA_EVERY_CRASH_POINT=1 all of them."""
    if os.environ.get("DESPINA_EVERY_CRASH_POINT"):
        every = 1
    first = int(time.time() // 86_400) % every + 1
    most = len(crashes.live(story, victim, 0)[1])
    assert most >= first
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda at: crashes.survive(story, victim, at), range(first, most + 1, every)))
