"""Thousands of signed requests that schemathesis makes of the served OpenAPI document: no 5xx, and only JSON, as it says."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.generation.modes import GenerationMode
from tests.serving import PATIENCE_SECONDS, Server
from tests.wire.described import Described
from tests.wire.guarded import Keys, grant, issued

EXAMPLES = 60
"""Of each operation and way of generating."""
AT_LEAST = 2_000
CODES = {400, 403, 404, 405, 408, 429}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # The limits are out of the way: they would answer in place of everything else.
    server = Server(tmp_path_factory.mktemp("fuzzed") / "data", "--iam-auth",
                    environment={"DESPINA_REQUESTS_PER_SECOND": "1000000", "DESPINA_CUSTOM_MODELS": "true"}).start()
    yield server
    server.stop()


def test_generated_requests(guarded: Server) -> None:
    grant(guarded, "fuzzer", "neptune-db:*", "sagemaker:*", resource="*")
    keys = issued(guarded, "fuzzer")
    document = guarded.request("GET", "/openapi.json")[2]
    described = Described(document)
    # No endpoint is there to read it; what bodies they take is for tests/property/test_invocation_bodies.py.
    document["paths"]["/endpoints/{id}/invocations"]["post"]["requestBody"]["content"]["application/json"]["schema"] = {
        "type": "object"}
    count, statuses = 0, set[int]()
    with requests.Session() as session:
        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                @given(case=operation.as_strategy(generation_mode=mode))
                @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
                          suppress_health_check=list(HealthCheck))
                def one(case: Any) -> None:
                    nonlocal count
                    count += 1
                    statuses.add(check(session, guarded, keys, case, described))

                with suppress(Unsatisfiable):  # nothing can be wrong with what takes nothing
                    one()
    assert count >= AT_LEAST
    assert {200, 400, 404} <= statuses


def check(session: requests.Session, server: Server, keys: Keys, case: Any, described: Described) -> int:
    """Send a case, signed, and look at its answer."""
    arguments = case.as_transport_kwargs(base_url=server.url)
    prepared = session.prepare_request(requests.Request(
        method=arguments["method"], url=arguments["url"], params=arguments.get("params"), headers=arguments.get("headers"),
        json=arguments.get("json"), data=arguments.get("data"), cookies=arguments.get("cookies")))
    # requests writes a space as '+', which botocore would sign as it stands; SDKs write it as AWS wants it signed.
    path, mark, query = (prepared.url or "").partition("?")
    prepared.url = path + mark + query.replace("+", "%20")
    request = AWSRequest(prepared.method, prepared.url, data=prepared.body)
    service = "sagemaker" if urlsplit(prepared.url).path.endswith("/invocations") else "neptune-db"
    SigV4Auth(Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]), service, "us-east-1").add_auth(request)
    prepared.headers.update(dict(request.headers))
    answer = session.send(prepared, timeout=PATIENCE_SECONDS)
    told = f"{prepared.method} {prepared.url} {prepared.body!r}: {answer.status_code} {answer.text}"
    if answer.headers["content-type"].startswith("text/plain"):
        assert prepared.path_url == "/metrics", told
        return answer.status_code
    assert answer.headers["content-type"] == "application/json", told
    assert answer.headers["x-amzn-requestid"], told
    content = json.loads(answer.content)
    described.check(prepared.method or "", urlsplit(prepared.url).path, answer.status_code, content)
    if answer.status_code == 200:
        return 200
    assert answer.status_code in CODES - {403}, told
    assert set(content) == {"requestId", "code", "detailedMessage", "message"}, told
    assert content["message"], told
    assert answer.headers["x-amzn-errortype"] == content["code"], told
    return answer.status_code
