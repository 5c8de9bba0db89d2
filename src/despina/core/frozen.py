"""The form of all data: immutable, keyword-only."""

from typing import Any

import msgspec

RECORD_VERSION = 1
"""Of what stores keep of jobs and endpoints. It grows whenever a record gets a field, a value or a kind of work that it had not
(``tests/architecture/test_records.py`` sees to it): a process writes no record of a version that is newer than its own."""


class Frozen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the data types, strict when they are read back. ``msgspec.structs.replace`` makes changed copies."""


class Recorded(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Base of what processes of different versions read at the same time: fields of a newer one are left out.

    Who writes it back would lose them: see ``RECORD_VERSION``.
    """


def unknown_fields(written: Any, read: Any, place: str = "") -> list[str]:
    """The places of fields that a record has and that were left out when it was read; both as plain dicts and lists."""
    if isinstance(written, dict) and isinstance(read, dict):
        return [found for name, value in written.items() for found in (
            unknown_fields(value, read[name], f"{place}{name}.") if name in read else [f"{place}{name}"])]
    if isinstance(written, list) and isinstance(read, list):
        return [found for before, after in zip(written, read, strict=True) for found in unknown_fields(before, after, place)]
    return []
