"""What authentication costs: the CPU time of a signature and a decision, and the throughput of lists with and without it.

The first part takes the gate as the server uses it: a signed GET, a principal in an SQLite store, a policy of ten statements whose
last allows; beside it one HMAC-SHA256, the floor of any signature check, and the derivation of a key, done once a day. The second
serves the same store twice, with ``--iam-auth`` and without, and asks both for lists over eight connections, with one request in
flight on each, with eight, and with requests of which no two are the same; they take turns within each round. The limits are
raised, not removed.

    python bench/auth.py [--rounds 7] [--seconds 1.0]
"""

import argparse
import asyncio
import hmac
import json
import signal
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count, repeat
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from list import CONNECTIONS, exchange, fill, serve, throughput, url_address  # type: ignore[import-not-found]

from despina.app import SystemClock
from despina.auth.canonical import Request
from despina.auth.gate import Gate
from despina.auth.issuing import Issued, issue
from despina.auth.principals import Principals
from despina.auth.secrets import load_box
from despina.auth.signing_keys import derive
from despina.core.names import Cluster
from despina.core.ports import KeyStore
from despina.core.principal import Principal
from despina.store import open_key_store

CALLS = 2_000
JOBS = 1_000
DIFFERENT = 4_000
"""Signed requests of which no two are the same: more than a gate remembers."""
HOW = {"one in flight on each": (1, 1), "eight in flight on each": (1, 8), "no two of them the same": (DIFFERENT, 8)}
"""How many different requests there are, and how many of them are in flight on a connection."""
STATEMENTS = [{"Effect": "Allow", "Action": ["neptune-db:Start*", "neptune-db:Cancel*"], "Resource": "*",
               "Condition": {"Bool": {"aws:SecureTransport": "true"}, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}] * 9
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [
    *STATEMENTS, {"Effect": "Allow", "Action": ["neptune-db:Get*", "neptune-db:List*"],
                  "Resource": f"arn:aws:neptune-db:us-east-1:123456789012:{Cluster().resource_id}/*"}]})
CONTEXT = {"aws:SecureTransport": "false", "aws:CurrentTime": "2026-11-25T16:00:00Z", "aws:SourceIp": "127.0.0.1",
           "aws:UserAgent": "Boto3/1.44.8 md/Botocore#1.44.8 ua/2.1 os/linux#6.1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement of throughput")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        data = Path(temporary) / "data"
        fill(data, JOBS)
        store = open_key_store(data / "despina.db")
        store.put_principal(Principal(name="alice", arn="arn:aws:iam::123456789012:user/alice", policies=(POLICY,)))
        issued = issue("alice", load_box(data, {}), now=SystemClock().now())
        store.add_key(issued.key)
        result = cpu(store, issued, data, options.rounds) | lists(data, issued, options.rounds, options.seconds)
        store.close()
    print(json.dumps({"bench": "auth", **result}))


def cpu(store: KeyStore, issued: Issued, data: Path, rounds: int) -> dict[str, float]:
    """The median microseconds of CPU of a check and a decision, over rounds."""
    gate = Gate(principals=Principals(open_key_store(":memory:"), store), open_box=lambda: load_box(data, {}), cluster=Cluster(),
                clock=SystemClock())
    numbers = count()

    def request() -> Request:
        """A signed one; no two have the same query."""
        query = f"maxItems=10&nextToken=job-{next(numbers):08d}"
        lines = [*signed(issued, f"http://localhost:8182/ml/modeltraining?{query}"), ("Host", "localhost:8182")]
        return Request(method="GET", raw_path=b"/ml/modeltraining", raw_query=query.encode(), body=b"",
                       headers=tuple((name.lower().encode(), value.encode()) for name, value in lines))

    def check(one: Request) -> None:
        again = Request(method="GET", raw_path=one.raw_path, raw_query=one.raw_query, headers=one.headers, body=b"")
        gate.authorize(gate.authenticate(again), "neptune-db:ListMLModelTrainingJobs", lambda: CONTEXT)

    day = "20261125"
    tasks: dict[str, tuple[Callable[[Any], object], Callable[[], Any]]] = {
        "hmac_us": (lambda _: hmac.digest(b"k" * 32, b"m" * 200, "sha256"), lambda: None),
        "derivation_us": (lambda _: derive(issued.secret, (day, "us-east-1", "neptune-db")), lambda: None),
        "signature_and_policy_us": (check, request), "same_request_us": (check, partial(next, repeat(request())))}
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):  # side by side, so that a busy machine slows all of them
        for name, (task, given) in tasks.items():
            taken[name].append(seconds(task, [given() for _ in range(CALLS)]))
    medians = {name: round(statistics.median(values) * 1e6, 2) for name, values in taken.items()}
    print(f"a signature and a policy of ten statements {medians['signature_and_policy_us']} µs, for the same request again "
          f"{medians['same_request_us']} µs; one HMAC {medians['hmac_us']} µs, the derivation of a key, once a day, "
          f"{medians['derivation_us']} µs")
    return medians


def lists(data: Path, issued: Issued, rounds: int, length: float) -> dict[str, Any]:
    """Lists a second with authentication and without."""
    plain, guarded = serve(data), serve(data, "--iam-auth")
    try:
        # Both get signed requests: clients sign whether they have to or not.
        urls = {"plain": plain[1], "iam_auth": guarded[1]}
        sizes = {name: answer_size(url, wire(issued, url)) for name, url in urls.items()}
        samples: dict[tuple[str, str], list[float]] = {(name, how): [] for name in urls for how in HOW}
        for _ in range(rounds):
            for (name, how), taken in samples.items():
                different, ahead = HOW[how]
                # Dated by the second, as clients do it: the requests of one measurement are the same, unless told otherwise.
                requests = [wire(issued, urls[name], number) for number in range(different)]
                taken.append(asyncio.run(throughput(url_address(urls[name]), requests, sizes[name], length, ahead=ahead)))
    finally:
        for process, _ in (plain, guarded):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
    result = {}
    for how in HOW:
        ours, other = samples["iam_auth", how], samples["plain", how]
        ratio = statistics.median(one / two for one, two in zip(ours, other, strict=True))
        rates = {"iam_auth_rps": round(statistics.median(ours)), "plain_rps": round(statistics.median(other)),
                 "ratio": round(ratio, 3)}
        print(f"lists over {CONNECTIONS} connections, {how}: {rates['iam_auth_rps']:,}/s with --iam-auth, "
              f"{rates['plain_rps']:,}/s without: {ratio:.2f}")
        result[how] = rates
    return result


def signed(issued: Issued, url: str, number: int = 0) -> list[tuple[str, str]]:
    """The headers of a GET that botocore has signed; ``number`` is one of them."""
    request = AWSRequest("GET", url, headers={"User-Agent": CONTEXT["aws:UserAgent"], "X-Number": f"{number:08d}"})
    SigV4Auth(Credentials(issued.key.id, issued.secret), "neptune-db", "us-east-1").add_auth(request)
    return list(request.headers.items())


def wire(issued: Issued, url: str, number: int = 0) -> bytes:
    """The same as bytes. A signature holds for five minutes, longer than the bench takes."""
    target = "/ml/modeltraining?maxItems=10"
    lines = [f"{name}: {value}" for name, value in [("Host", url.removeprefix("http://")), *signed(issued, url + target, number)]]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode()


def answer_size(url: str, request: bytes) -> int:
    with socket.create_connection(url_address(url)) as connection:
        answer = exchange(connection, request)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return len(answer)


def seconds(task: Callable[[Any], object], given: list[Any]) -> float:
    start = time.process_time()
    for one in given:
        task(one)
    return (time.process_time() - start) / len(given)


if __name__ == "__main__":
    main()
