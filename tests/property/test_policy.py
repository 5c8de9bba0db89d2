"""Laws of policies: what denies wins, what allows only adds, order does not matter, a boundary grants nothing."""

import fnmatch
import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.auth.documents import document, statement

from despina.auth.document import InvalidPolicy
from despina.auth.patterns import Patterns, tokens
from despina.auth.policy import AuthorizationRequest, Decision, Policy, Reason, evaluate

ACTIONS = ["neptune-db:GetMLEndpointStatus", "neptune-db:ListMLEndpoints", "neptune-db:StartMLModelTrainingJob", "s3:GetObject"]
RESOURCES = [f"arn:aws:neptune-db:us-east-1:123456789012:{name}/database" for name in ("cluster-A", "cluster-B")]
KEYS = ["aws:username", "aws:SourceIp", "test:Number", "test:Set"]

patterns = st.sampled_from([*ACTIONS, "*", "neptune-db:*", "neptune-db:Get*", "neptune-db:*ML*", "s3:*"])
resources = st.sampled_from([*RESOURCES, "*", "arn:aws:neptune-db:*:*:*", "arn:aws:neptune-db:us-east-1:123456789012:cluster-?/*",
                             "arn:aws:neptune-db:us-east-1:123456789012:${aws:username}/*"])
conditions: st.SearchStrategy[dict[str, Any]] = st.sampled_from([
    {"StringEquals": {"aws:username": ["alice", "bob"]}}, {"StringNotEquals": {"aws:username": "alice"}},
    {"StringLike": {"test:Set": "a*"}}, {"StringNotEqualsIfExists": {"test:Set": "${aws:username}"}},
    {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
    {"NumericLessThan": {"test:Number": "10"}}, {"Null": {"test:Number": "true"}}, {"Bool": {"test:Number": "true"}},
    {"ForAllValues:StringEquals": {"test:Set": ["a", "b"]}}, {"ForAnyValue:StringNotEqualsIfExists": {"test:Set": "a"}}])
values = st.sampled_from(["", "alice", "cluster-A", "203.0.113.9", "::1", "9", "10", "true", "a"])


@st.composite
def statements(draw: st.DrawFn, effect: str | None = None) -> dict[str, Any]:
    elements: dict[str, Any] = {
        draw(st.sampled_from(["Action", "NotAction"])): draw(st.lists(patterns, min_size=1, max_size=2)),
        draw(st.sampled_from(["Resource", "NotResource"])): draw(st.lists(resources, min_size=1, max_size=2))}
    if draw(st.booleans()):
        elements["Condition"] = draw(conditions)
    return statement(effect or draw(st.sampled_from(["Allow", "Deny"])), **elements)


documents = st.lists(statements(), max_size=4).map(lambda value: document(*value))
requests = st.builds(
    AuthorizationRequest, action=st.sampled_from(ACTIONS), resource=st.sampled_from(RESOURCES),
    context=st.dictionaries(st.sampled_from(KEYS), st.one_of(values, st.lists(values, max_size=3).map(tuple))))
quickly = settings(max_examples=300, deadline=None, derandomize=True)


def decide(request: AuthorizationRequest, *values: dict[str, Any], boundary: dict[str, Any] | None = None) -> Decision:
    return evaluate([Policy.parse(value) for value in values], Policy.parse(boundary) if boundary is not None else None, request)


@given(requests, st.lists(documents, max_size=3), statements("Deny"))
@quickly
def test_an_explicit_deny_always_wins(request: AuthorizationRequest, policies: list[dict[str, Any]],
                                      denial: dict[str, Any]) -> None:
    denies = decide(request, document(denial)).reason is Reason.EXPLICIT_DENY
    decision = decide(request, *policies, document(denial))
    assert not (denies and decision.allowed)
    assert not denies or decision.reason is Reason.EXPLICIT_DENY


@given(requests, st.lists(documents, max_size=3), statements("Deny"), st.none() | documents)
@quickly
def test_adding_a_deny_never_allows(request: AuthorizationRequest, policies: list[dict[str, Any]], denial: dict[str, Any],
                                    boundary: dict[str, Any] | None) -> None:
    before = decide(request, *policies, boundary=boundary)
    after = decide(request, *policies, document(denial), boundary=boundary)
    assert before.allowed or not after.allowed


@given(requests, st.lists(documents, max_size=3), statements("Allow"), st.none() | documents)
@quickly
def test_adding_an_allow_never_denies(request: AuthorizationRequest, policies: list[dict[str, Any]], permission: dict[str, Any],
                                      boundary: dict[str, Any] | None) -> None:
    before = decide(request, *policies, boundary=boundary)
    after = decide(request, *policies, document(permission), boundary=boundary)
    assert after.allowed or not before.allowed
    assert (before.reason is Reason.EXPLICIT_DENY) is (after.reason is Reason.EXPLICIT_DENY)


@given(requests, st.lists(statements(), max_size=6), st.data())
@quickly
def test_order_and_grouping_do_not_matter(request: AuthorizationRequest, given_order: list[dict[str, Any]],
                                          data: st.DataObject) -> None:
    expected = decide(request, document(*given_order))
    other = data.draw(st.permutations(given_order))
    split = data.draw(st.integers(0, len(other)))
    for decision in (decide(request, document(*other)), decide(request, document(*other[:split]), document(*other[split:]))):
        assert (decision.allowed, decision.reason) == (expected.allowed, expected.reason)


@given(requests, st.lists(documents, max_size=3), documents)
@quickly
def test_a_boundary_never_grants(request: AuthorizationRequest, policies: list[dict[str, Any]], boundary: dict[str, Any]) -> None:
    bounded = decide(request, *policies, boundary=boundary).allowed
    assert bounded is (decide(request, *policies).allowed and decide(request, boundary).allowed)


@given(requests, statements("Allow"))
@quickly
def test_what_a_statement_allows_its_opposite_denies(request: AuthorizationRequest, permission: dict[str, Any]) -> None:
    """What is unclear may be denied without being allowed, never allowed without being denied."""
    allows = decide(request, document(permission)).allowed
    denies = not decide(request, document({**permission, "Effect": "Deny"}, statement())).allowed
    assert denies or not allows


@given(st.text("ab*?:[", max_size=12), st.text("ab:[\n", max_size=12))
@quickly
def test_wildcards_match_as_those_of_files(pattern: str, text: str) -> None:
    compiled = Patterns([tokens(pattern, "", wildcards=True, variables=True)])
    assert compiled.match(text, {}) is fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


members = st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource", "Condition", "StringLike", "aws:userid"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members | st.text(max_size=3), inner, max_size=4), max_leaves=12)


@given(json_values | st.text(), st.sampled_from(["", "Statement", "Action", "Resource", "Condition", "Version", "Effect", "Sid"]))
@quickly
def test_whatever_is_given_becomes_a_policy_or_a_refusal(value: Any, member: str) -> None:
    base = document(statement())
    if member in {"Version", "Statement"}:
        value = {**base, member: value}
    elif member:
        value = document({**statement(), member: value})
    for given_as in (value, json.dumps(value)) if isinstance(value, dict) else (json.dumps(value), str(value)):
        with suppress(InvalidPolicy):
            Policy.parse(given_as)
