"""What a client does with its jobs, in an order that may be told again from the start: every call repeated is the same call.

``python -m tests.chaos.stories DATA_DIR STORY EXPORTS`` lives through a story with a whole control plane, and tells every answer.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.waiting import wait_for

from despina import app
from despina.artifacts import open_artifacts
from despina.core.errors import JobEnded
from despina.core.job import Job, JobKind, Status
from despina.core.location import Location
from despina.core.principal import Caller
from despina.core.requests import CancelJob, StartDataProcessing, StartModelTraining
from despina.settings import Settings

PROCESSING, TRAINING = JobKind.DATA_PROCESSING, JobKind.MODEL_TRAINING
PROGRAMS = "tests.chaos.small_programs"


class Client:
    """Calls the use cases of a control plane. ``tell`` hears of each answer, after it is given."""

    def __init__(self, data_dir: Path, exports: Path, tell: Callable[[str], None]) -> None:
        self.parts = app.Parts(Settings(data_dir=data_dir))
        self.parts.start()
        self.artifacts = open_artifacts(data_dir / "s3")
        self._exports, self._tell = exports, tell

    def process(self, job_id: str, export: str = "finite") -> None:
        request = StartDataProcessing(id=job_id, input_data_s3_location=f"file://{self._exports / export}",
                                      processed_data_s3_location="s3://bucket/processed")
        self.parts.jobs.start(request, Caller(invocation=f"start {job_id}"))
        self._tell(f"started {job_id}")

    def train(self, job_id: str) -> None:
        request = StartModelTraining(id=job_id, data_processing_job_id="neighbour", train_model_s3_location="s3://bucket/processed",
                                     max_hpo_number_of_training_jobs=1)
        self.parts.jobs.start(request, Caller(invocation=f"start {job_id}"))
        self._tell(f"started {job_id}")

    def cancel(self, job_id: str, *, clean: bool) -> None:
        self.parts.jobs.cancel(PROCESSING, CancelJob(id=job_id, clean=clean), Caller())
        self._tell(f"{'cleaned' if clean else 'cancelled'} {job_id}")

    def job(self, kind: JobKind, job_id: str) -> Job:
        return self.parts.jobs.get(kind, job_id)

    def wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        wait_for(what, holds)

    def wait_until_ended(self, job_id: str, kind: JobKind = PROCESSING) -> None:
        self.wait_until(f"the end of {job_id}", lambda: self.job(kind, job_id).status.is_terminal)

    def has_artefacts(self, job: Job) -> bool:
        return next(iter(self.artifacts.list(Location.parse(job.prefix))), None) is not None


def complete(client: Client) -> None:
    client.process("one")
    client.wait_until_ended("one")


def train(client: Client) -> None:
    client.train("one")
    client.wait_until_ended("one", TRAINING)


def cancel(client: Client) -> None:
    """First without clean, then with it."""
    client.process("one", "endless")
    client.wait_until("artefacts", lambda: (job := client.job(PROCESSING, "one")).stop_requested or client.has_artefacts(job))
    client.cancel("one", clean=False)
    client.wait_until_ended("one")
    client.cancel("one", clean=True)
    client.wait_until("the sweep", lambda: client.job(PROCESSING, "one").swept)


def race(client: Client) -> None:
    """Cancelled while it ends: it ends in one way or the other."""
    client.process("one")
    with suppress(JobEnded):
        client.cancel("one", clean=True)
    client.wait_until("the end", lambda: (job := client.job(PROCESSING, "one")).swept or job.status is Status.COMPLETED)


STORIES: dict[str, Callable[[Client], None]] = {story.__name__: story for story in (complete, train, cancel, race)}

if __name__ == "__main__":
    app.PROGRAMS = PROGRAMS
    client = Client(Path(sys.argv[1]), Path(sys.argv[3]), lambda answer: print(answer, flush=True))
    STORIES[sys.argv[2]](client)
    client.parts.close()
