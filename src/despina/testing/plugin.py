"""The pytest fixtures ``despina``, ``fresh_despina`` and ``despina_settings``.

pytest imports this file in every run where Despina is installed: nothing may be imported here that pytest has not imported itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from despina.testing.server import Despina


@pytest.fixture(scope="session")
def despina_settings() -> Mapping[str, Any]:
    """The server's settings, by the names of ``despina.settings.Settings``. To be overridden; the defaults otherwise."""
    return {}


@pytest.fixture(scope="session")
def despina(despina_settings: Mapping[str, Any]) -> Iterator[Despina]:
    """A server for the whole session. From now on to its end boto3 finds it by the environment alone."""
    yield from _running(despina_settings)


@pytest.fixture
def fresh_despina(despina_settings: Mapping[str, Any]) -> Iterator[Despina]:
    """A server for one test, without any job. While the test runs boto3 finds this one."""
    yield from _running(despina_settings)


def _running(settings: Mapping[str, Any]) -> Iterator[Despina]:
    from despina.testing.server import lead_here, running

    with running(settings) as server, pytest.MonkeyPatch.context() as patch:
        lead_here(server, patch)
        yield server
