"""A record that has changed is a record of a new version: older processes on the same database leave it alone."""

import hashlib
import json
from typing import Any

import msgspec

from despina.core.endpoint import Endpoint
from despina.core.frozen import RECORD_VERSION
from despina.core.job import Job

FORMS = {1: "7ec61c12ece8515d"}
"""By version: the checksum of all that a record may have in it."""


def form(kinds: list[type]) -> str:
    """A checksum of fields, their types, and the values of enumerations; not of descriptions or order."""
    _, components = msgspec.json.schema_components(kinds)

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            said = {name for name in ("description", "title") if isinstance(value.get(name), str)}
            return {name: bare(inner) for name, inner in value.items() if name not in said}
        return sorted(map(bare, value), key=json.dumps) if isinstance(value, list) else value

    return hashlib.sha256(json.dumps(bare(components), sort_keys=True).encode()).hexdigest()[:16]


def test_a_changed_record_has_a_version_of_its_own() -> None:
    now = form([Job, Endpoint])
    assert FORMS.get(RECORD_VERSION) == now, (
        f"What is recorded of jobs or endpoints has changed. If version {RECORD_VERSION} was released, raise RECORD_VERSION in "
        f"despina/core/frozen.py; then write its form, {now!r}, into FORMS.")
    assert max(FORMS) == RECORD_VERSION
