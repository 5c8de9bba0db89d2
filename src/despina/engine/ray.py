"""The Ray engine: each run is a job of a Ray cluster. It keeps nothing; what is known of runs lies with Ray and on their nodes."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from despina.core.job import Observation, Progress, RunSpec, RunState
from despina.engine.folder import checked
from despina.engine.lines import check, progress_in, whole_lines
from despina.engine.ray_jobs import NodeGone, NodeSilent, RayJob, RayJobs, RayUnreachable
from despina.engine.ray_record import FILES, LONGEST_WORD, PIECE, Order, file_of, is_mark, mark_of, pack
from despina.engine.ray_verdict import END, is_let_go, judge
from despina.engine.ray_watch import Watch
from despina.engine.slots import Needs, ask

_NOTHING = "true"
"""The entrypoint of a job that only stands for something: it needs no core."""


@dataclass(frozen=True, kw_only=True)
class Orders:
    """How runs become jobs."""

    version: str
    module: str
    environment: Mapping[str, str]
    """Given to every run, on top of the node's own."""
    grace_seconds: float
    cluster: str
    """The cluster's address, for the nodes."""
    deployment: str
    """What tells our runs from those of other servers on the cluster: letters, digits, hyphens."""


class RayEngine:
    """``core.ports.Engine`` and ``core.ports.RunLogs`` on a Ray cluster. Any number of them, on any machines, may work on one.

    Every verb raises ValueError for a run id that is not 1-150 letters, digits, dots, hyphens or underscores or begins with a dot,
    and RayUnreachable, an OSError, when the cluster does not answer: then nothing is concluded, and nothing may have been done.
    """

    def __init__(self, *, jobs: RayJobs, orders: Orders, on_change: Callable[[str], None]) -> None:
        self._jobs = jobs
        self._orders = orders
        self._watch = Watch(greet=jobs.nodes, look=self._look, on_change=on_change)

    def submit(self, spec: RunSpec) -> None:
        """Take a run; Ray has it on return. It starts when a node has what it asks for."""
        submission_id = self._submission_id(spec.run_id)
        slots = ask(self._jobs.nodes(), Needs(share=spec.share, memory_mib=spec.memory_mib))
        orders = self._orders
        order = Order(version=orders.version, submission_id=submission_id, files=uuid.uuid4().hex, spec=spec, module=orders.module,
                      cores=slots.cores, grace_seconds=orders.grace_seconds, cluster=orders.cluster)
        word = pack(order)
        if len(word) > LONGEST_WORD:
            reason = f"The run's specification has {len(word)} bytes when packed. A node takes {LONGEST_WORD}: use fewer trials."
            self._record_end(submission_id, Observation(state=RunState.FAILED, failure_reason=reason, finished_at=_now()))
            return
        entrypoint = f"exec python -m despina.engine.ray_run {order.files} {word}"
        if self._jobs.submit(submission_id, entrypoint=entrypoint, env_vars=orders.environment,
                             metadata={"despina_run": spec.run_id, FILES: order.files}, slots=slots):
            self._watch.follow(spec.run_id, Observation(state=RunState.PENDING))

    def observe(self, run_id: str) -> Observation:
        """What is known of the run: of one that is live, what was seen last, since when whoever asks is told of what changes.

        Asks the cluster only for a run that is not watched yet, or has ended; then it may wait as long as a call to it may take.
        """
        checked(run_id)
        seen = self._watch.seen(run_id)
        if seen is None:
            seen = self._look(run_id)
            if seen.state is not None and seen.state.is_live:
                self._watch.follow(run_id, seen)
        return seen

    def stop(self, run_id: str) -> None:
        """End the run and every process it started. Returns at once.

        The wish to stop a run that Ray does not know yet is kept there as a job of the run's id, which keeps any other from being
        submitted; the wish to stop one that waits as a job beside it, for which its node looks before the program is started.
        """
        submission_id = self._submission_id(run_id)
        job = self._jobs.get(submission_id)
        if job is None and self._record_end(submission_id, Observation(state=RunState.STOPPED, finished_at=_now())):
            return
        if job is None:
            job = self._jobs.get(submission_id)  # a submit was faster
        if job is None or job.status not in {"PENDING", "RUNNING"} or END in (job.metadata or {}):
            return
        if job.status == "PENDING":
            self._jobs.submit(mark_of(submission_id), entrypoint=_NOTHING)
        self._jobs.stop(submission_id)
        self._watch.follow(run_id, Observation(state=RunState(job.status.lower())))

    def forget(self, run_id: str) -> None:
        """Delete what Ray keeps of a run that has ended, or never was. The log stays on the node until its session is deleted.

        A run has not ended for this purpose while Ray may still be at work on its job.
        """
        submission_id = self._submission_id(run_id)
        job, seen = self._ask(run_id)
        if job is None:
            return
        live = seen.state is not None and seen.state.is_live
        if live or not is_let_go(job, _now()) or not self._jobs.delete(submission_id):
            raise ValueError(f"The run {run_id} has not ended: it cannot be forgotten.")
        self._jobs.delete(mark_of(submission_id))

    def ended_before(self, moment: int) -> Iterator[str]:
        """The ids of runs whose jobs ended before this time (ms since 1970)."""
        prefix = self._submission_id("-")[:-1]
        for job in self._jobs.all():
            name = job.submission_id or ""
            if name.startswith(prefix) and job.end_time is not None and job.end_time < moment and not is_mark(name):
                yield name.removeprefix(prefix)

    def read(self, run_id: str, *, offset: int, limit: int) -> tuple[bytes, int]:
        """At most ``limit`` bytes (1 or more) of the run's log from ``offset`` on, and the offset after them.

        What the program writes can be read half a second later, and nothing while cluster or node do not answer or are gone.

        Only whole lines, unless the run is over or a line is longer than ``limit``.
        """
        check(offset, limit)
        checked(run_id)
        try:
            text, over = self._text(run_id, "log", offset, limit)
        except (RayUnreachable, NodeSilent, NodeGone):
            return b"", offset
        text = whole_lines(text, limit, over=over)
        return text, offset + len(text)

    def course(self, run_id: str, *, limit: int) -> tuple[Progress, ...]:
        """The progress in the first ``limit`` bytes of the program's output; none while cluster or node do not answer."""
        checked(run_id)
        try:
            return tuple(progress_in(self._text(run_id, "progress", 0, limit)[0].splitlines()))
        except (RayUnreachable, NodeSilent, NodeGone):
            return ()

    def _text(self, run_id: str, name: str, offset: int, limit: int) -> tuple[bytes, bool]:
        """What there is of the run's log or progress from ``offset`` on, ``limit`` bytes at most, and whether the run is over."""
        job, seen = self._ask(run_id)  # first: nothing is written to the log after the end
        if job is None or job.driver_node_id is None or not _files(job):
            return b"", True
        text = b""
        while len(text) < limit:
            number, start = divmod(offset + len(text), PIECE)
            piece = self._jobs.read_log_file(job.driver_node_id, file_of(_files(job), f"{name}.{number}")) or b""
            text += piece[start:start + limit - len(text)]
            if len(piece) < PIECE:
                break
        return text, seen.state is not None and not seen.state.is_live

    def close(self) -> None:
        """End the engine's thread; the runs go on."""
        self._watch.close()

    def _submission_id(self, run_id: str) -> str:
        return f"despina-{self._orders.deployment}-{checked(run_id)}"

    def _record_end(self, submission_id: str, end: Observation) -> bool:
        """Have a job stand for a run that has ended before it began; False when there is a job of the run."""
        return self._jobs.submit(submission_id, entrypoint=_NOTHING, metadata={END: msgspec.json.encode(end).decode()})

    def _look(self, run_id: str) -> Observation:
        """What the cluster knows of the run."""
        return self._ask(run_id)[1]

    def _ask(self, run_id: str) -> tuple[RayJob | None, Observation]:
        """Ask the cluster for the run's job, and for what is to be made of it."""
        submission_id = self._submission_id(run_id)
        job = self._jobs.get(submission_id)
        record, node_gone = self._record(job)
        marked = job is not None and record is None and self._jobs.get(mark_of(submission_id)) is not None
        seen = judge(job, record, marked=marked, node_gone=node_gone, now=_now())
        if job is not None and seen.state is None and is_let_go(job, _now()):
            self._jobs.delete(submission_id)  # given up by Ray: the id is free again, so that it can be given the run once more
        return job, seen

    def _record(self, job: RayJob | None) -> tuple[Observation | None, bool]:
        """What the run's node has told, and whether the node is gone."""
        if job is None or job.driver_node_id is None or not _files(job):
            return None, False
        try:
            text = self._jobs.read_log_file(job.driver_node_id, file_of(_files(job), "record.json"))
            return (msgspec.json.decode(text, type=Observation) if text else None), False
        except NodeGone:
            return None, True
        except msgspec.DecodeError as error:
            raise NodeSilent(f"What the node {job.driver_node_id} tells of a run cannot be read: {error}.") from error


def _files(job: RayJob) -> str:
    """What names the files of the job's run; nothing of a job that only stands for something."""
    return (job.metadata or {}).get(FILES, "")


def _now() -> int:
    return time.time_ns() // 1_000_000


