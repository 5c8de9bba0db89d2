"""A database whose statements are told of while they run."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from despina.core.telemetry import Telemetry
from despina.store import statements
from despina.store.database import Database, OnEndpoint, OnJob, Rows, Run

T = TypeVar("T")

_NAMES = {text: name.lower() for name, text in vars(statements).items() if name.isupper() and not name.startswith("_")}


class MeasuredDatabase:
    """A ``Database`` over another one."""

    def __init__(self, database: Database, telemetry: Telemetry) -> None:
        self._database, self._telemetry = database, telemetry

    @property
    def name(self) -> str:
        """See ``Database``."""
        return self._database.name

    def read(self, statement: str, values: Mapping[str, Any]) -> Rows:
        """See ``Database``."""
        with self._telemetry.statement(_NAMES.get(statement, "other")):
            return self._database.read(statement, values)

    def write(self, statement: str, values: Mapping[str, Any]) -> Rows:
        """See ``Database``. The statement's time has that of the commit in it."""
        with self._telemetry.statement(_NAMES.get(statement, "other")):
            return self._database.write(statement, values)

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Run]:
        """See ``Database``. To wait until one may write is told as ``begin``, to be on the disk as ``commit``."""
        transaction = self._database.writing(alone=alone)
        with self._telemetry.statement("begin"):
            run = transaction.__enter__()

        def measured(statement: str, values: Mapping[str, Any]) -> Rows:
            with self._telemetry.statement(_NAMES.get(statement, "other")):
                return run(statement, values)

        try:
            yield measured
        except BaseException as error:
            # The transaction itself raises what is to be raised: it has better words for errors of the database.
            if not transaction.__exit__(type(error), error, error.__traceback__):
                raise
        else:
            with self._telemetry.statement("commit"):
                transaction.__exit__(None, None, None)

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        """See ``Database``."""
        return self._database.recall(key, read)

    def listen(self, on_job: OnJob, on_endpoint: OnEndpoint) -> None:
        """See ``Database``."""
        self._database.listen(on_job, on_endpoint)

    def close(self) -> None:
        """See ``Database``."""
        self._database.close()
