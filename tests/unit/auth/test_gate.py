"""The gate: what it remembers of requests and keys never lets anybody in whom it would not let in otherwise."""

import json
import time

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from msgspec.structs import replace
from tests.unit.auth.signing import changed, with_header

from despina.auth.canonical import Request
from despina.auth.gate import Gate
from despina.auth.issuing import Issued, issue
from despina.auth.principals import Principals
from despina.auth.secrets import SecretBox
from despina.core.errors import AccessDenied
from despina.core.names import Cluster
from despina.core.principal import Principal
from despina.store import open_key_store

BOX = SecretBox(b"k" * 32, "a test")
EVERYTHING = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
NOTHING = '{"Version": "2012-10-17", "Statement": []}'


class Clock:
    """A time of day that is set by hand."""

    def __init__(self) -> None:
        self.time = time.time_ns() // 1_000_000

    def now(self) -> int:
        return self.time


class World:
    """A gate with one principal, and what it is asked."""

    def __init__(self) -> None:
        self.clock, self.store = Clock(), open_key_store(":memory:")
        self.store.put_principal(Principal(name="alice", arn="arn:aws:iam::123456789012:user/alice", policies=(EVERYTHING,)))
        self.issued = self.issue()
        self.gate = Gate(principals=Principals(self.store), open_box=lambda: BOX, cluster=Cluster(), clock=self.clock)

    def issue(self, seconds: int | None = None) -> Issued:
        issued = issue("alice", BOX, now=self.clock.now(), seconds=seconds)
        self.store.add_key(issued.key)
        return issued

    def request(self, issued: Issued | None = None, query: str = "maxItems=10", **headers: str) -> Request:
        given = issued or self.issued
        made = AWSRequest("GET", f"http://localhost:8182/ml/modeltraining?{query}", headers=headers)
        SigV4Auth(Credentials(given.key.id, given.secret, given.token), "neptune-db", "us-east-1").add_auth(made)
        sent = [("Host", "localhost:8182"), *made.headers.items()]
        return Request(method="GET", raw_path=b"/ml/modeltraining", raw_query=query.encode(),
                       headers=[(name.encode(), value.encode()) for name, value in sent])


@pytest.fixture
def world() -> World:
    return World()


def test_the_same_request_is_good_again_and_again(world: World) -> None:
    request = world.request()
    first = world.gate.authenticate(request)
    assert world.gate.authenticate(changed(request)) is first
    assert world.gate.authenticate(with_header(request, "X-Unsigned", b"something else")) is first
    assert first.principal.name == "alice"


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_the_parts_of_the_header_may_stand_in_any_order(world: World, order: tuple[int, ...]) -> None:
    request = world.request()
    scheme, _, rest = (request.value(b"authorization") or b"").partition(b" ")
    parts = rest.split(b", ")
    turned = with_header(request, "Authorization", scheme + b" " + b", ".join(parts[i] for i in order))
    for _ in range(2):
        assert world.gate.authenticate(turned).principal.name == "alice"


@pytest.mark.parametrize("authorization", [b"", b"Bearer x", b"AWS4-HMAC-SHA256 Signature=" + b"0" * 64])
def test_a_header_that_is_no_claim_is_refused_with_what_it_must_be(world: World, authorization: bytes) -> None:
    with pytest.raises(AccessDenied, match=r"AWS4-HMAC-SHA256|requires 'Credential' parameter"):
        world.gate.authenticate(with_header(world.request(), "Authorization", authorization))


@pytest.mark.parametrize("tampered", [
    lambda one: changed(one, method="DELETE"), lambda one: changed(one, raw_path=b"/ml/endpoints"),
    lambda one: changed(one, raw_query=b"maxItems=11"), lambda one: changed(one, body=b"{}"),
    lambda one: with_header(one, "Host", b"elsewhere:8182"), lambda one: with_header(one, "X-Amz-Date", b"20261125T000000Z"),
    lambda one: with_header(one, "Authorization", one.value(b"authorization")[:-1] + b"x"),
    lambda one: with_header(one, "X-Amz-Security-Token", b"token"), lambda one: with_header(one, "X-Amz-Content-Sha256", b"0" * 64),
    lambda one: changed(one, headers=(*one.headers, (b"Host", b"elsewhere"))),
], ids=["method", "path", "query", "body", "host", "date", "signature", "token", "hash", "another host"])
def test_after_a_good_request_one_that_differs_is_refused(world: World, tampered: object) -> None:
    request = world.request()
    world.gate.authenticate(request)
    assert callable(tampered)
    with pytest.raises(AccessDenied):
        world.gate.authenticate(tampered(request))
    world.gate.authenticate(request)


def test_a_good_request_grows_old(world: World) -> None:
    request = world.request()
    world.gate.authenticate(request)
    world.clock.time += 6 * 60_000
    with pytest.raises(AccessDenied, match="Signature expired"):
        world.gate.authenticate(request)


@pytest.mark.parametrize("change", ["disable", "delete", "other secret", "revoke"])
def test_what_happens_to_a_key_holds_for_requests_seen_before(world: World, change: str) -> None:
    request, key = world.request(), world.issued.key
    world.gate.authenticate(request)
    if change == "disable":
        world.store.set_disabled(key.id, disabled=True)
    elif change == "revoke":
        world.store.delete_principal("alice")
    else:
        world.store.delete_key(key.id)
    if change == "other secret":
        world.store.add_key(replace(key, sealed=BOX.seal("another", key.id)))
    with pytest.raises(AccessDenied):
        world.gate.authenticate(request)


def test_temporary_credentials_end_for_requests_seen_before(world: World) -> None:
    request = world.request(world.issue(seconds=60))
    world.gate.authenticate(request)
    world.clock.time += 61_000
    with pytest.raises(AccessDenied, match="expired"):
        world.gate.authenticate(request)


def test_a_policy_holds_from_the_next_request_on(world: World) -> None:
    credential = world.gate.authenticate(world.request())
    world.gate.authorize(credential, "neptune-db:ListMLModelTrainingJobs", dict)
    world.store.put_principal(replace(credential.principal, policies=(NOTHING,)))
    credential = world.gate.authenticate(world.request())
    with pytest.raises(AccessDenied, match="no identity-based policy allows"):
        world.gate.authorize(credential, "neptune-db:ListMLModelTrainingJobs", dict)


def allowed_if(world: World, key: str, operator: str, value: str, *, seconds: int | None = None, role: bool = False) -> bool:
    """Whether a policy with this condition allows a request."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {key: value}}}})
    arn = f"arn:aws:iam::123456789012:{'role/jobs' if role else 'user/alice'}"
    world.store.put_principal(Principal(name="alice", arn=arn, policies=(policy,)))
    credential = world.gate.authenticate(world.request(world.issue(seconds)))
    try:
        world.gate.authorize(credential, "neptune-db:ListMLModelTrainingJobs", lambda: {"aws:SourceIp": "203.0.113.9"})
    except AccessDenied:
        return False
    return True


@pytest.mark.parametrize(("key", "operator", "value"), [
    ("aws:PrincipalArn", "ArnLike", "arn:aws:iam::*:user/alice"), ("aws:PrincipalType", "StringEquals", "User"),
    ("aws:username", "StringEquals", "alice"), ("aws:PrincipalAccount", "StringEquals", "123456789012"),
    ("aws:RequestedRegion", "StringEquals", "us-east-1"), ("aws:ViaAWSService", "Bool", "false"),
    ("aws:PrincipalIsAWSService", "Bool", "false"), ("aws:EpochTime", "NumericGreaterThan", "1700000000"),
    ("aws:TokenIssueTime", "Null", "true"), ("aws:SourceIp", "IpAddress", "203.0.113.0/24")])
def test_policies_may_ask_who_asks_and_from_where(world: World, key: str, operator: str, value: str) -> None:
    assert allowed_if(world, key, operator, value)
    assert not allowed_if(world, key, "Null", "false" if operator == "Null" else "true")


def test_temporary_credentials_have_a_time_of_issue_and_roles_no_user_name(world: World) -> None:
    assert allowed_if(world, "aws:TokenIssueTime", "DateGreaterThan", "2026-01-01T00:00:00Z", seconds=60)
    assert not allowed_if(world, "aws:TokenIssueTime", "DateGreaterThan", "2200-01-01T00:00:00Z", seconds=60)
    assert allowed_if(world, "aws:username", "Null", "true", role=True)
    assert allowed_if(world, "aws:PrincipalType", "StringEquals", "AssumedRole", role=True)


def test_a_key_is_looked_up_once_in_a_turn(world: World) -> None:
    turn: list[object] = []
    gate = Gate(principals=Principals(world.store), open_box=lambda: BOX, cluster=Cluster(), clock=world.clock, soon=turn.append)
    request = world.request()
    gate.authenticate(request)
    world.store.set_disabled(world.issued.key.id, disabled=True)
    gate.authenticate(request)  # it had arrived before
    (clear,) = turn
    assert callable(clear)
    clear()
    with pytest.raises(AccessDenied, match="is disabled"):
        gate.authenticate(request)


def test_what_is_remembered_has_an_end(world: World) -> None:
    for number in range(1_200):
        world.gate.authenticate(world.request(query=f"maxItems=10&nextToken={number:04d}"))
    assert len(world.gate._verified) <= 512

