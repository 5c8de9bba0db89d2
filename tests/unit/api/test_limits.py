"""The limits: requests at a time, requests a second, bytes of a body and the time it takes."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from tests.unit.api.fakes import Client, Response, pieces, whole

from despina.api.limits import Limits, read_body
from despina.api.scope import Message, Scope
from despina.api.settings import ApiSettings
from despina.core.errors import TooManyRequests

BODY = b'{"inputDataS3Location": "s3://bucket/in", "processedDataS3Location": "s3://bucket/processed"}'


@dataclass
class Clock:
    """Seconds that pass when told."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_principal_may_send_so_many_requests_a_second() -> None:
    clock = Clock()
    client = Client(clock=clock, requests_per_second=4)
    assert [client.get("/ml/modeltraining").status for _ in range(5)] == [200, 200, 200, 200, 429]
    answer = client.get("/ml/modeltraining")
    text = ("More than 4 requests a second came from '127.0.0.1', the most that limits.requests_per_second allows. "
            "Try again in 1 s.")
    assert answer.error == (429, "TooManyRequestsException", text)
    assert answer.headers["retry-after"] == "1"
    clock.seconds += 0.5
    assert [client.get("/ml/modeltraining").status for _ in range(3)] == [200, 200, 429]
    clock.seconds += 100
    assert [client.get("/ml/modeltraining").status for _ in range(5)] == [200, 200, 200, 200, 429]


def test_principals_do_not_share_a_bucket_and_wrong_requests_count() -> None:
    client = Client(requests_per_second=2)

    def call(target: str, host: str) -> int:
        return asyncio.run(client.send("GET", target, whole(b""), host=host)).status

    targets = "/nowhere", "/ml/modeltraining?maxItems=0", "/nowhere"
    assert [call(target, "10.0.0.1") for target in targets] == [404, 400, 429]
    assert call("/nowhere", "10.0.0.2") == 404


def test_the_servers_own_state_is_exempt() -> None:
    client = Client(requests_per_second=1, max_in_flight=1)
    assert {client.get(path).status for path in ("/status", "/healthz", "/readyz") for _ in range(5)} == {200}


def test_full_buckets_are_forgotten() -> None:
    clock = Clock()
    limits = Limits(ApiSettings(requests_per_second=2, max_in_flight=10_000), clock)
    for number in range(1000):
        clock.seconds += 0.01
        limits.take(f"10.0.0.{number}")
    assert len(limits._buckets) <= 200
    limits.take("10.0.0.999")
    with pytest.raises(TooManyRequests):
        limits.take("10.0.0.999")


def test_so_many_requests_are_answered_at_a_time() -> None:
    """Two starts hang in the control plane; a third request is turned away; when they are done there is room again."""
    release = threading.Event()
    client = Client(max_in_flight=2)

    async def run() -> tuple[Response, list[Response], Response]:
        loop, arrivals = asyncio.get_running_loop(), asyncio.Queue[None]()

        def hang() -> None:
            loop.call_soon_threadsafe(arrivals.put_nowait, None)
            assert release.wait(timeout=20), "nobody let the start go on"

        client.jobs.before_start = hang
        bodies = [BODY.replace(b"{", b'{"id": "dp-%d", ' % number) for number in range(2)]
        starts = [asyncio.create_task(client.send("POST", "/ml/dataprocessing", whole(body))) for body in bodies]
        for _ in starts:
            await asyncio.wait_for(arrivals.get(), timeout=20)
        turned_away = await client.send("GET", "/ml/modeltraining", whole(b""))
        release.set()
        return turned_away, await asyncio.gather(*starts), await client.send("GET", "/ml/modeltraining", whole(b""))

    turned_away, started, after = asyncio.run(run())
    text = "The server already answers 2 requests, the most that limits.max_in_flight allows. Try again in 1 s."
    assert turned_away.error == (429, "TooManyRequestsException", text)
    assert turned_away.headers["retry-after"] == "1"
    assert [answer.status for answer in started] == [200, 200]
    assert after.status == 200


@pytest.mark.parametrize("broken", [RuntimeError("a bug"), None])
def test_an_answered_request_leaves_room(broken: Exception | None) -> None:
    client = Client(max_in_flight=1)
    client.jobs.broken = broken
    assert {client.get("/ml/modeltraining").status for _ in range(3)} == {500 if broken else 200}
    assert client.get("/nowhere").status == 404


def send_body(client: Client, receive: Callable[[], Awaitable[Message]], length: int | None = None) -> Response:
    headers = [] if length is None else [("content-length", str(length))]
    return asyncio.run(client.send("POST", "/ml/dataprocessing", receive, headers))


def test_a_body_may_come_in_pieces() -> None:
    assert send_body(Client(max_body_bytes=len(BODY)), pieces([BODY[:5], b"", BODY[5:]]), len(BODY)).status == 200


@pytest.mark.parametrize("length", [None, len(BODY)])
@pytest.mark.parametrize("parts", [[BODY], [BODY[:-1], BODY[-1:]], [BODY, BODY, b""]])
def test_a_body_over_the_limit(parts: list[bytes], length: int | None) -> None:
    receive = pieces(parts)
    answer = send_body(Client(max_body_bytes=len(BODY) - 1), receive, length)
    assert answer.error == (400, "BadRequestException", f"Request size exceeds max allowed value of {len(BODY) - 1} bytes.")
    assert answer.headers["connection"] == "close"


def test_a_body_over_the_limit_is_read_and_thrown_away_but_not_for_ever() -> None:
    chunk = bytes(1 << 20)
    given = 0

    async def endless() -> Message:
        nonlocal given
        given += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    assert send_body(Client(max_body_bytes=10), endless, 1 << 40).status == 400
    assert 16 << 20 <= given <= 18 << 20


def test_a_body_that_is_announced_too_large_and_never_comes() -> None:
    answer = send_body(Client(max_body_bytes=10, body_timeout_seconds=0), pieces([], then_hang=True), 11)
    assert answer.error[:2] == (400, "BadRequestException")


def test_a_body_that_does_not_come_in_time() -> None:
    client = Client(body_timeout_seconds=0.01, max_in_flight=1)
    answer = send_body(client, pieces([BODY], then_hang=True), len(BODY) + 1)
    assert answer.error == (408, "ClientTimeoutException", "The request body did not arrive within 0.01 seconds.")
    assert answer.headers["connection"] == "close"
    assert client.get("/ml/modeltraining").status == 200


def test_who_is_cancelled_while_a_body_comes_is_not_late() -> None:
    async def run() -> None:
        scope: Scope = {"headers": []}
        reading = asyncio.ensure_future(read_body(scope, pieces([b"{"], then_hang=True), limit=10, seconds=60))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(run())


def test_a_client_that_goes_away_gets_no_answer_and_leaves_room() -> None:
    client = Client(max_in_flight=1)

    async def run() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await client.api({"type": "http", "method": "POST", "scheme": "http", "raw_path": b"/ml/dataprocessing",
                          "query_string": b"", "client": None, "headers": []}, receive, send)
        return sent

    assert asyncio.run(run()) == []
    assert client.jobs.requests == []
    assert client.get("/ml/modeltraining").status == 200
