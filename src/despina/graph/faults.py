"""What can be wrong with an input, by names that stay the same: users may search for them and programs may act on them."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from despina.core.errors import WorkFailed
from despina.core.frozen import Frozen

MOST = 20
"""Findings that are listed; what is found beyond them is not."""


class Fault(StrEnum):
    """The kinds of faults. ``docs/guide.md`` explains each."""

    AMBIGUOUS_COLUMN = "AmbiguousColumn"
    CONTRADICTION = "Contradiction"
    DANGLING_EDGE = "DanglingEdge"
    DUPLICATE_ID = "DuplicateId"
    INVALID_CONFIGURATION = "InvalidConfiguration"
    INVALID_FILE_NAME = "InvalidFileName"
    INVALID_NUMBER = "InvalidNumber"
    INVALID_SPLIT = "InvalidSplit"
    INVALID_TEXT = "InvalidText"
    INVALID_TIME = "InvalidTime"
    INVALID_VECTOR = "InvalidVector"
    MALFORMED_FILE = "MalformedFile"
    MISSING_COLUMN = "MissingColumn"
    MISSING_CONFIGURATION = "MissingConfiguration"
    MISSING_FILE = "MissingFile"
    MISSING_ID = "MissingId"
    MISSING_LABELS = "MissingLabels"
    MISSING_MODEL = "MissingModel"
    MISSING_VALUE = "MissingValue"
    NOT_ENOUGH_DISK = "NotEnoughDisk"
    NOT_ENOUGH_MEMORY = "NotEnoughMemory"
    NOT_OFFERED = "NotOffered"
    SCHEMA_CHANGED = "SchemaChanged"
    UNREADABLE_FILE = "UnreadableFile"


class Finding(Frozen, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong."""

    name: Fault
    text: str
    """A sentence with the place, the value and what would be right."""
    file: str | None = None
    line: int | None = None
    """From 1, the header's included; in a Parquet file the row, from 1."""
    column: str | None = None
    value: str | None = None
    """Shortened."""


class InputFault(WorkFailed):
    """An input cannot be used. ``str(fault)`` is the text of the first finding."""

    def __init__(self, name: Fault, text: str, *others: Finding, file: str | None = None, line: int | None = None,
                 column: str | None = None, value: str | None = None) -> None:
        super().__init__(text)
        self.findings = (Finding(name=name, text=text, file=file, line=line, column=column, value=value), *others)[:MOST]

    @classmethod
    def of(cls, findings: tuple[Finding, ...]) -> "InputFault":
        """The error that reports these findings, of which there is one at least."""
        error = cls(findings[0].name, findings[0].text)
        error.findings = findings[:MOST]
        return error

    @property
    def reason(self) -> str:
        """The job's ``failureReason``: the name and the text of the first finding, and how many more there are."""
        first, more = self.findings[0], len(self.findings) - 1
        also = f" ({more} more finding{'s' * (more > 1)} in processing-report.json)" if more else ""
        return f"{first.name}: {first.text}{also}"


class Findings:
    """Collects faults of parts of an input that can be looked at one by one, so that a user learns of all of them at once."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    @contextmanager
    def gather(self) -> Iterator[None]:
        """Note an InputFault that is raised in this context instead of letting it pass. Raises it when there are enough."""
        try:
            yield
        except InputFault as error:
            self._found += error.findings
            if len(self._found) >= MOST:
                self.check()

    def __len__(self) -> int:
        return len(self._found)

    def check(self) -> None:
        """Raise what was found so far, if anything was."""
        if self._found:
            raise InputFault.of(tuple(self._found))
