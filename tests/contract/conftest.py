"""The databases that the contract suites of the stores run over."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | Path]:
    """Where a new database is, of each kind."""
    if request.param == "memory":
        yield ":memory:"
    else:
        yield from _shared(request, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | Path]:
    """The same, of each kind that may be opened several times."""
    yield from _shared(request, tmp_path)


def _shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | Path]:
    if request.param == "sqlite":
        yield tmp_path / "jobs.db"
    else:
        with request.getfixturevalue("postgresql").database() as url:
            yield url
