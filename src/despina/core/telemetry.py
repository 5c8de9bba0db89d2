"""What the parts of the control plane tell of their work while they do it, for whoever counts, traces and logs it."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from despina.core.job import Job

_NOTHING: AbstractContextManager[None] = nullcontext()


class Telemetry(Protocol):
    """Is told of work. All methods are quick, may be called from any thread, and raise nothing of their own."""

    def statement(self, name: str) -> AbstractContextManager[None]:
        """Around a statement of the store, by its name in ``store.statements``, or ``begin`` and ``commit`` of a transaction."""
        ...

    def s3_request(self, action: str) -> AbstractContextManager[None]:
        """Around a request to the S3 server, with all attempts at it; ``action``: the permission it takes, as ``s3:PutObject``."""
        ...

    def s3_retry(self, action: str) -> None:
        """Such a request is about to be made again."""
        ...

    def reconciling(self, job: Job) -> AbstractContextManager[None]:
        """Around a reconciler's pass over a job. It may end with ``LeaseLost``."""
        ...

    def written(self, before: Job, after: Job) -> None:
        """A pass has written ``after`` in the place of ``before``: each change is told once, by whoever made it."""
        ...

    def traceparent(self) -> str | None:
        """The trace that the caller's work belongs to (W3C Trace Context, ``traceparent``); None: it belongs to none."""
        ...

    def traceparent_of(self, job: Job, run_id: str) -> str | None:
        """That of a run of the job, for its program."""
        ...


class Silence:
    """Nobody listens."""

    def statement(self, name: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """See ``Telemetry``."""
        return _NOTHING

    def s3_request(self, action: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """See ``Telemetry``."""
        return _NOTHING

    def s3_retry(self, action: str) -> None:
        """See ``Telemetry``."""

    def reconciling(self, job: Job) -> AbstractContextManager[None]:  # noqa: ARG002
        """See ``Telemetry``."""
        return _NOTHING

    def written(self, before: Job, after: Job) -> None:
        """See ``Telemetry``."""

    def traceparent(self) -> str | None:
        """See ``Telemetry``."""
        return None

    def traceparent_of(self, job: Job, run_id: str) -> str | None:  # noqa: ARG002
        """See ``Telemetry``."""
        return None


SILENCE = Silence()
