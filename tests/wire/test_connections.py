"""Connections that are too many, too slow or too talkative, before there is a request; and what they get."""

import json
import socket
from collections.abc import Callable, Iterator

import pytest
from tests.serving import Server

StartServer = Callable[..., Server]
LIST = b"GET /ml/modeltraining HTTP/1.1\r\nHost: x\r\n"


def to_the_end(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    received = b""
    while part := connection.recv(65_536):
        received += part
    return received


def answer_to(connection: socket.socket, request: bytes) -> bytes:
    """Send a request and read the answer, which is one JSON object."""
    connection.sendall(request)
    received = b""
    while not received.endswith(b"}"):
        received += connection.recv(65_536)
    return received


def said(received: bytes) -> tuple[int, str, str]:
    """The status, code and message of an answer, which has all members and headers of the API."""
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    error = json.loads(body)
    assert headers["content-type"] == "application/json"
    assert headers["x-amzn-requestid"] == error["requestId"]
    assert headers["x-amzn-errortype"] == error["code"]
    assert headers["connection"] == "close"
    assert "date" in headers
    return int(status.split()[1]), error["code"], error["message"]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("strict") / "data", environment={
        "DESPINA_MAX_HEADER_BYTES": "2048", "DESPINA_CONNECTION_TIMEOUT_SECONDS": "0.2"}).start()
    yield server
    server.stop()


@pytest.mark.parametrize("sent", [
    LIST + b"X-Long: " + b"a" * 2048,
    LIST + b"X-Long: " + b"a" * 2048 + b"\r\n\r\n",
    LIST + b"".join(b"X-%d: a\r\n" % number for number in range(400)) + b"\r\n",
    b"GET /" + b"a" * 3000,
    b"GET /ml/modeltraining?x=" + b"a" * 2048 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /ml/modeltraining HTTP/1.1\r\nX-Long: " + b"a" * 2048 + b"\r\nContent-Length: 2\r\n\r\n{}",
], ids=["one that does not end", "a long one", "many", "a path that does not end", "a query", "before a body"])
def test_headers_that_are_too_large(strict: Server, sent: bytes) -> None:
    with strict.connect() as connection:
        connection.sendall(sent)
        assert said(to_the_end(connection)) == (
            400, "BadRequestException", "Request header size exceeds max allowed value of 2048 bytes.")


def test_a_large_body_is_no_large_header(strict: Server) -> None:
    body = json.dumps({"id": "x" * 3000}).encode()
    with strict.connect() as connection:
        for _ in range(2):
            request = b"POST /ml/modeltraining HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            assert b"InvalidParameterException" in answer_to(connection, request)


def test_headers_that_do_not_arrive_in_time(strict: Server) -> None:
    with strict.connect() as connection:
        connection.sendall(LIST)
        assert said(to_the_end(connection)) == (
            408, "ClientTimeoutException", "The request's headers did not arrive within 0.2 seconds.")


def test_a_second_request_has_its_own_time(strict: Server) -> None:
    with strict.connect() as connection:
        connection.sendall(LIST + b"\r\n" + LIST)
        received = to_the_end(connection)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 408" in received


@pytest.mark.parametrize("first", [b"", LIST + b"\r\n"], ids=["nothing", "one request"])
def test_a_connection_that_rests_is_closed(strict: Server, first: bytes) -> None:
    with strict.connect() as connection:
        connection.sendall(first)
        assert to_the_end(connection).count(b"HTTP/1.1 200 OK") == bool(first)


def test_more_connections_than_allowed(start_server: StartServer) -> None:
    server = start_server(environment={"DESPINA_MAX_CONNECTIONS": "2"})
    with server.connect() as first, server.connect() as second:
        for connection in (first, second):
            assert answer_to(connection, LIST + b"\r\n").startswith(b"HTTP/1.1 200 OK")
        with server.connect() as third:
            status, code, message = said(to_the_end(third))
        assert (status, code) == (429, "TooManyRequestsException")
        assert "limits.max_connections" in message
        assert answer_to(first, LIST + b"\r\n").startswith(b"HTTP/1.1 200 OK"), "those who were there stay"
