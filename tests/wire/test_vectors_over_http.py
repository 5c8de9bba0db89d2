"""The published vectors of Signature Version 4, sent as they stand to the server software that the API runs on."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.serving import PATIENCE_SECONDS

from despina.auth.canonical import normalize_path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "tests" / "data" / "sigv4.json"
VECTORS = {case["name"]: case for case in json.loads(FILE.read_text(encoding="utf-8"))}
NOT_HTTP = {"get-header-value-multiline", "get-space-normalized", "get-space-unnormalized", "get-utf8", "get-vanilla-utf8-query"}
"""Not to be sent: headers over several lines are obsolete (RFC 9112, section 5.2), a request line has neither spaces nor UTF-8."""
NOT_NORMALIZED = {name for name, case in VECTORS.items() if not case["context"]["normalize"]}
"""Signed for a service that takes paths as they stand (S3), which ours is not; see ``tests/unit/auth/test_sigv4.py``."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    command = [sys.executable, str(Path(__file__).with_name("vector_server.py")), str(FILE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def sent(port: int, case: dict[str, Any], old: str = "", new: str = "") -> bytes:
    """The answer to a vector, of which a part is replaced."""
    head, _, body = case["signedRequest"].replace(old, new, 1).partition("\n\n")
    lines = [*head.split("\n"), f"X-Vector: {case['name']}", "Connection: close"]
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body.encode())
        received = b""
        while part := connection.recv(65_536):
            received += part
    return received


@pytest.mark.parametrize("name", sorted(set(VECTORS) - NOT_HTTP - NOT_NORMALIZED))
def test_a_vector_is_accepted_and_refused_when_its_signature_differs(port: int, name: str) -> None:
    case = VECTORS[name]
    assert sent(port, case).endswith(b"accepted")
    signature = case["signature"]
    other = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    assert b"refused: The request signature we calculated does not match" in sent(port, case, signature, other)


@pytest.mark.parametrize("name", sorted(NOT_HTTP))
def test_a_vector_that_is_no_http_today_is_refused_as_such(port: int, name: str) -> None:
    assert sent(port, VECTORS[name]).startswith(b"HTTP/1.1 400 Bad Request")


@pytest.mark.parametrize("name", sorted(NOT_NORMALIZED - NOT_HTTP))
def test_a_vector_for_a_service_that_does_not_normalize_paths(port: int, name: str) -> None:
    answer = sent(port, VECTORS[name])
    path = VECTORS[name]["canonicalRequest"].split("\n")[1].encode()
    assert answer.endswith(b"accepted") is (normalize_path(path) == path), answer
