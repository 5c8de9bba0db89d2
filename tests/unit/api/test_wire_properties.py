"""Whatever is sent, the answer is a documented one: a success, or an error of the table, and never a failure of ours."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.api.fakes import Client, FakeJobs, Response, training_job, whole

from despina.api.errors import INTERNAL, MEANINGS
from despina.api.wire import fields
from despina.core.frozen import Frozen
from despina.core.requests import ListJobs, ReadJobLogs, StartDataProcessing, StartModelTraining

DOCUMENTED = {meaning for meaning in MEANINGS.values() if meaning is not INTERNAL}
STARTS: dict[str, tuple[type[Frozen], dict[str, Any]]] = {
    "/ml/dataprocessing": (StartDataProcessing, {"inputDataS3Location": "s3://bucket/in", "processedDataS3Location": "s3://bucket/out"}),
    "/ml/modeltraining": (StartModelTraining, {"dataProcessingJobId": "dp-1", "trainModelS3Location": "s3://bucket/models"}),
}
MEMBERS = [(path, field.member.wire) for path, (request, _) in STARTS.items() for field in fields(request)]
PARAMETERS = [field.member.wire for request in (ListJobs, ReadJobLogs) for field in fields(request)]

text = st.text(st.characters(exclude_categories=())) | st.sampled_from(["", "true", "s3://", "ml.p3.2xlarge", "kge", "\ud800"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text | st.sampled_from([2**63, -(2**63) - 1, 10**99, 10**100]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(
        text | st.sampled_from(["sourceS3DirectoryPath", "trainingEntryPointScript"]), children, max_size=3),
    max_leaves=8)
wire_bytes = st.binary(max_size=60).map(lambda raw: raw.replace(b"?", b""))
percent = st.binary(max_size=20).map(lambda raw: "".join(f"%{byte:02X}" for byte in raw).encode())


def send(method: str, target: bytes, body: bytes = b"") -> Response:
    jobs = FakeJobs()
    jobs.add(training_job())
    answer = asyncio.run(Client(jobs).send(method, target, whole(body)))
    if answer.status != 200:
        status, code, message = answer.error
        assert (code, status) in DOCUMENTED
        assert message
    return answer


def written(document: Any) -> bytes:
    """JSON as a careless client writes it, with NaN and raw lone surrogates."""
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(MEMBERS), values, st.booleans())
def test_any_value_of_any_member(member: tuple[str, str], value: Any, escaped: bool) -> None:
    path, wire = member
    document = {**STARTS[path][1], wire: value}
    send("POST", path.encode(), json.dumps(document).encode() if escaped else written(document))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(list(STARTS)), st.binary(max_size=200) | values.map(written) | values.map(lambda value: written(value)[:-1]))
def test_any_bytes_as_a_body(path: str, body: bytes) -> None:
    answer = send("POST", path.encode(), body)
    assert answer.status == 400, "no two required members come up by chance"


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(["/ml/modeltraining", "/ml/modeltraining/tr-1/logs"]), st.sampled_from(PARAMETERS),
       wire_bytes | percent | st.integers().map(lambda number: str(number).encode()), wire_bytes)
def test_any_query(path: str, parameter: str, value: bytes, rest: bytes) -> None:
    send("GET", path.encode() + b"?" + parameter.encode() + b"=" + value + b"&" + rest)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(["GET", "POST", "DELETE", "HEAD", "BREW"]),
       st.sampled_from([b"", b"/ml", b"/ml/modeltraining/", b"/ml/endpoints/"]),
       wire_bytes | percent, st.sampled_from([b"", b"/", b"/logs"]))
def test_any_path(method: str, head: bytes, middle: bytes, tail: bytes) -> None:
    send(method, head + middle + tail)


@settings(deadline=None, max_examples=100)
@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_read_as_they_were_written(number: int) -> None:
    client = Client()
    answer = client.get(f"/ml/modeltraining?createdAfter={number}")
    assert answer.status == (400 if number < 0 else 200)
    assert [request.created_after for request in client.jobs.requests] == ([] if number < 0 else [number])


@pytest.mark.parametrize("path", STARTS)
def test_the_properties_begin_from_requests_that_succeed(path: str) -> None:
    assert send("POST", path.encode(), written(STARTS[path][1])).status == 200
