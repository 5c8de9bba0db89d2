"""The newest entries of an audit log, backwards: what a plain reading of all of it finds, page by page."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from despina.auth import audit_search
from despina.auth.audit import AuditLog, Entry, read
from despina.auth.audit_search import Outcome, Wanted, newest
from despina.core.errors import UnreadableParameter


def entry(number: int, *, who: str = "alice", status: int = 200, resource: str | None = None) -> Entry:
    return Entry(event_time=f"2026-11-29T00:00:{number % 60:02}.000Z", request_id=str(number), event_name="GetMLEndpoint",
                 action="neptune-db:GetMLEndpointStatus", source_ip_address="127.0.0.1", status=status,
                 principal=f"arn:aws:iam::123456789012:user/{who}", resource_id=resource,
                 error_code=None if status == 200 else "AccessDeniedException" if status == 403 else "MLResourceNotFoundException")


entries = st.builds(entry, st.integers(0, 99), who=st.sampled_from(["alice", "bob", 'qu"ote', "zoë"]),
                    status=st.sampled_from([200, 403, 404]), resource=st.sampled_from([None, "one", "two", "back\\slash"]))


wishes = st.builds(
    Wanted, principal=st.sampled_from(["", "alice", 'qu"', "zoë"]), event_name=st.sampled_from(["", "GetMLEndpoint"]),
    resource_id=st.sampled_from(["", "one", "back\\slash"]), outcome=st.none() | st.sampled_from(Outcome))


@given(written=st.lists(entries, max_size=60), size=st.integers(1, 40), chunk=st.integers(1, 2000), wanted=wishes,
       max_bytes=st.integers(200, 4000),
       torn=st.booleans())
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_all_pages_together_are_the_log(tmp_path_factory: pytest.TempPathFactory, written: list[Entry], size: int, chunk: int,
                                        max_bytes: int, wanted: Wanted, *, torn: bool) -> None:
    folder = tmp_path_factory.mktemp("audit")
    log = AuditLog(folder, max_bytes=max_bytes, kept=100)
    for one in written:
        log.write(one)
        if torn and (folder / "audit.jsonl").exists():
            with (folder / "audit.jsonl").open("ab") as file:
                file.write(b'{"eventTime": "20\n')
    log.close()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(audit_search, "_CHUNK", chunk)
        found: list[Entry] = []
        before: str | None = None
        while True:
            page = newest(folder, wanted, count=size, before=before, most=1500)
            assert len(page.entries) <= size
            found += page.entries
            if page.older is None:
                break
            assert page.older != before, "it goes on"
            before = page.older
    assert found == [one for one in reversed(list(read(folder))) if wanted.fits(one)]


def test_a_page_goes_on_where_it_stood_when_the_file_is_put_aside(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    for number in range(10):
        log.write(entry(number))
    first = newest(tmp_path, Wanted(), count=4)
    (tmp_path / "audit.jsonl").rename(tmp_path / "audit-20261129T000000000000-1.jsonl")
    log.write(entry(10))
    log.close()
    second = newest(tmp_path, Wanted(), count=4, before=first.older)
    assert [one.request_id for one in (*first.entries, *second.entries)] == ["9", "8", "7", "6", "5", "4", "3", "2"]
    assert newest(tmp_path, Wanted(), count=1).entries[0].request_id == "10"


def test_a_place_that_no_page_gave(tmp_path: Path) -> None:
    for token in ("", "x", "1-", "-1", "1-x", "9" * 60 + "-1"):
        if token:
            with pytest.raises(UnreadableParameter, match="'before'"):
                newest(tmp_path, Wanted(), count=1, before=token)
    assert newest(tmp_path, Wanted(), count=1, before="1-1") == ((), None, 0), "its file is gone"
