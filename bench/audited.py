"""What bench/console.py needs beside jobs: endpoints, an audit log that is as large as it gets, and somebody who may read it.

    python bench/audited.py

prints the processor time that looking entries of such a log up takes.
"""

import http.client
import json
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from despina.auth.audit import FILE, KEPT, MAX_BYTES, Entry
from despina.auth.audit_search import Outcome, Wanted, newest
from despina.auth.issuing import issue
from despina.auth.secrets import load_box
from despina.core.endpoint import Endpoint
from despina.core.principal import Principal
from despina.store import open_key_store, open_stores

ENDPOINTS = 100


def fill_endpoints(data: Path) -> None:
    """Endpoints that could not be brought into service, so that nothing runs."""
    store = open_stores(data / "despina.db").endpoints
    for number in range(ENDPOINTS):
        failed = Endpoint(
            id=f"endpoint-{number}", created_at=1_700_000_000_000 + number * 1_000_000, resource_name=f"name-{number}",
            failure_reason="the artefacts have no file embeddings/entity.npy")
        store.create(failed, invocation=None, most=ENDPOINTS)


def fill_audit_log(data: Path) -> None:
    """As many files as are kept, and the one that is written to, all full. Each begins with a call of one who did little."""
    folder = data / "audit"
    folder.mkdir()
    encode = msgspec.json.encode
    lines, size = [encode(entry("rare", 0))], 0
    while size < MAX_BYTES - 1000:
        lines.append(encode(entry(f"somebody-{len(lines) % 50}", len(lines))))
        size += len(lines[-1]) + 1
    content = b"\n".join(lines) + b"\n"
    for number in range(KEPT):
        (folder / f"audit-20261129T{number:012}-1.jsonl").write_bytes(content)
    (folder / FILE).write_bytes(content)


def entry(who: str, number: int) -> Entry:
    refused = number % 100 == 99
    return Entry(
        event_time=f"2026-11-29T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000Z", request_id=f"{number:032x}",
        event_name="GetMLModelTrainingJob", action="neptune-db:GetMLModelTrainingJobStatus", source_ip_address="10.0.0.1",
        status=403 if refused else 200, principal=f"arn:aws:iam::123456789012:user/{who}", access_key_id="AKIAEXAMPLE",
        resource_id=f"job-{number % 1000:08}", user_agent="Boto3/1.42 md/Botocore#1.42 ua/2.1 os/linux lang/python#3.11",
        error_code="AccessDeniedException" if refused else None,
        error_message="User is not authorized to perform: neptune-db:GetMLModelTrainingJobStatus" if refused else None)


def principal(data: Path) -> tuple[str, str]:
    """The access key of somebody who may do everything: id and secret."""
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    store = open_key_store(data / "despina.db")
    store.put_principal(Principal(name="alice", arn="arn:aws:iam::123456789012:user/alice", policies=(json.dumps(policy),)))
    issued = issue("alice", load_box(data, {}), now=time.time_ns() // 1_000_000, seconds=None)
    store.add_key(issued.key)
    store.close()
    return issued.key.id, issued.secret


def sign_in(address: tuple[str, int], keys: tuple[str, str]) -> str:
    """The cookie of a session."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request("GET", "/console/sign-in", headers={"Host": "localhost"})
    answer = connection.getresponse()
    answer.read()
    visitor = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    form = {"token": visitor.partition("=")[2], "key_id": keys[0], "secret": keys[1]}
    connection.request("POST", "/console/sign-in", urlencode(form), {"Host": "localhost", "Cookie": visitor})
    answer = connection.getresponse()
    assert answer.status == 303, answer.read()
    connection.close()
    return (answer.getheader("Set-Cookie") or "").partition(";")[0]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        fill_audit_log(Path(temporary))
        for wanted in (Wanted(), Wanted(outcome=Outcome.REFUSED), Wanted(principal="rare"), Wanted(principal="nobody")):
            times = []
            for _ in range(9):
                began = time.process_time()
                found = newest(Path(temporary) / "audit", wanted, count=50)
                times.append((time.process_time() - began) * 1000)
            print(f"{wanted}: {len(found.entries)} found in {found.searched:,} bytes, {statistics.median(times):.1f} ms of a core")


if __name__ == "__main__":
    main()
