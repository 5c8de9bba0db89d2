"""The audit log: nothing is lost when it is put aside, and nothing that is no entry is shown."""

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from despina.auth.audit import FILE, AuditLog, Entry, read


def entry(number: int) -> Entry:
    return Entry(event_time=f"2026-11-25T16:00:00.{number % 1000:03}Z", request_id=str(number), event_name="ListMLEndpoints",
                 action="neptune-db:ListMLEndpoints", source_ip_address="127.0.0.1", status=200, principal="arn:aws:iam::1:user/a")


def ids(folder: Path) -> list[str]:
    return [entry.request_id for entry in read(folder)]


def test_entries_are_read_as_they_were_written(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit")
    written = [entry(number) for number in range(3)]
    for one in written:
        log.write(one)
    assert list(read(tmp_path / "audit")) == written
    assert (tmp_path / "audit" / FILE).stat().st_mode & 0o077 == 0
    log.close()
    log.write(entry(3))
    assert len(ids(tmp_path / "audit")) == 4
    log.close()


def test_no_folder_is_no_entries(tmp_path: Path) -> None:
    assert ids(tmp_path / "nowhere") == []


def test_a_large_file_is_put_aside_and_the_oldest_are_deleted(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, max_bytes=1_000, kept=3)
    for number in range(60):
        log.write(entry(number))
    log.close()
    assert len(list(tmp_path.glob("audit-*.jsonl"))) == 3
    left = [int(one) for one in ids(tmp_path)]
    assert left == list(range(left[0], 60)), "in order, without a gap"
    assert len(left) > 12


def test_a_file_that_somebody_else_has_put_aside_is_made_anew(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.write(entry(0))
    (tmp_path / FILE).rename(tmp_path / "audit-0.jsonl")
    log.write(entry(1))
    assert ids(tmp_path) == ["0", "1"]
    log.close()


def write_many(folder: Path, first: int) -> None:
    log = AuditLog(folder, max_bytes=4_000, kept=10_000)
    for number in range(first, first + 200):
        log.write(entry(number))
    log.close()


def test_several_processes_write_into_one_folder(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        list(pool.map(write_many, [tmp_path] * 3, [0, 1_000, 2_000]))
    assert sorted(map(int, ids(tmp_path))) == [first + number for first in (0, 1_000, 2_000) for number in range(200)]


@pytest.mark.parametrize("torn", [b'{"eventTime": "2026', b"null\n", b"\xff\n", b"{}\n"])
def test_what_is_no_entry_is_left_out(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / FILE).write_bytes(torn)
    assert ids(tmp_path) == []


def test_a_disk_that_takes_only_a_part_is_told_and_spoils_one_entry(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    log, write = AuditLog(tmp_path), os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, line: write(file, line[:20]))
        log.write(entry(0))
    assert "cannot be written" in caplog.text
    assert '"requestId":"0"' in caplog.text, "the log of the server has what is not in the audit log"
    log.write(entry(1))
    assert ids(tmp_path) == ["1"]
    log.close()


def test_an_entry_after_a_torn_one_that_lacks_only_its_end_is_torn_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, write = AuditLog(tmp_path), os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, line: write(file, line[:20]))
        log.write(entry(0))
        full.setattr(os, "write", lambda file, line: write(file, line[:-1]))
        log.write(entry(1))
    log.write(entry(2))
    assert ids(tmp_path) == ["1", "2"], "the second lacked its line break only"
    log.close()


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    AuditLog(tmp_path / "file").write(entry(0))
    assert "cannot be written" in caplog.text
