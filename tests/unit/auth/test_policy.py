"""What AWS documents of statements, actions, resources, variables and boundaries, as cases. Conditions: ``test_conditions.py``."""

from typing import Any, NamedTuple

import pytest
from tests.unit.auth.documents import CLUSTER, DATABASE, GET, Context, decide, document, statement

from despina.api.operations import LOG_OPERATIONS, OPERATIONS
from despina.auth.policy import AuthorizationRequest, Policy, Reason, evaluate
from despina.auth.vocabulary import ACTIONS

TRAIN = "neptune-db:StartMLModelTrainingJob"
BUCKET = "arn:aws:s3:::bucket"
ALICE = "arn:aws:iam::123456789012:user/alice"


class Case(NamedTuple):
    """Elements of a statement that allows, and whether it is about a request."""

    name: str
    elements: dict[str, Any]
    applies: bool
    action: str = GET
    resource: str = DATABASE


def actions(name: str, value: Any, applies: bool, action: str = GET) -> Case:
    return Case(name, {"Action": value}, applies, action)


def resources(name: str, value: Any, applies: bool, resource: str = DATABASE) -> Case:
    return Case(name, {"Resource": value}, applies, resource=resource)


# IAM user guide, "IAM JSON policy elements: Action" and "NotAction"; Neptune user guide, "IAM actions for data access"
ACTION_CASES = [
    actions("the action", GET, True),
    actions("another action", TRAIN, False),
    actions("case does not count", "NEPTUNE-DB:getmlENDPOINTstatus", True),
    actions("nor in the request", GET, True, action="Neptune-DB:GETMLENDPOINTSTATUS"),
    actions("all actions", "*", True),
    actions("all actions of the service", "neptune-db:*", True),
    actions("all actions of another service", "s3:*", False),
    actions("* at the end", "neptune-db:Get*", True),
    actions("* at the end, another action", "neptune-db:List*", False),
    actions("* at both ends", "neptune-db:*Endpoint*", True),
    actions("* for nothing", "neptune-db:GetMLEndpointStatus*", True),
    actions("? for one character", "neptune-db:GetM?EndpointStatus", True),
    actions("? not for none", "s3:Get?Object", False, action="s3:GetObject"),
    actions("one of a list", [TRAIN, GET], True),
    actions("none of a list", [TRAIN, "neptune-db:List*"], False),
    actions("* does not reach another service", "neptune-db:*", False, action="neptune-db2:GetMLEndpointStatus"),
    Case("not this action: another", {"NotAction": TRAIN}, True),
    Case("not this action: this", {"NotAction": GET}, False),
    Case("not these actions, by wildcard", {"NotAction": ["neptune-db:Get*", "neptune-db:List*"]}, False),
    Case("not these actions: of another service", {"NotAction": "neptune-db:*"}, True, action="s3:GetObject"),
    Case("not this action: case does not count", {"NotAction": "NEPTUNE-DB:GETMLENDPOINTSTATUS"}, False),
]
# IAM user guide, "IAM JSON policy elements: Resource" and "NotResource"; Neptune user guide, "Resource ARN format"
RESOURCE_CASES = [
    resources("the resource", DATABASE, True),
    resources("another resource", f"{CLUSTER}2/database", False),
    resources("case counts", DATABASE.replace("cluster", "Cluster"), False),
    resources("all resources", "*", True),
    resources("all of a cluster", f"{CLUSTER}/*", True),
    resources("all of a cluster, as Neptune's guide writes it", f"{CLUSTER}/*", True, resource=f"{CLUSTER}/*"),
    resources("all of another cluster", f"{CLUSTER}X/*", False),
    resources("the start of a cluster's id", "arn:aws:neptune-db:us-east-1:123456789012:cluster-A*/*", True),
    resources("any region and account", "arn:aws:neptune-db:*:*:cluster-ABCD/*", True),
    resources("another region", "arn:aws:neptune-db:eu-west-1:123456789012:*", False),
    resources("another account", "arn:aws:neptune-db:us-east-1:999999999999:*", False),
    resources("another partition", "arn:aws-cn:neptune-db:us-east-1:123456789012:*", False),
    resources("a partition by wildcard", "arn:*:neptune-db:us-east-1:123456789012:*", True),
    resources("the ARN that rds uses for a cluster", "arn:aws:rds:us-east-1:123456789012:cluster:*", False),
    resources("? is one character", DATABASE.replace("ABCD", "ABC?"), True),
    resources("? is not none", DATABASE.replace("ABCD", "ABCD?"), False),
    resources("* in the middle of a part", "arn:aws:neptune-db:us-*-1:123456789012:*", True),
    resources("* in the middle of a part holds no colon", "arn:aws:logs:us*9:*:x", False, resource="arn:aws:logs:us:9:1:x"),
    resources("? in a part holds no colon", "arn:aws:logs:us?9:*:x", False, resource="arn:aws:logs:us:9:1:x"),
    resources("* in the middle of a part, and one at an end", "arn:aws:logs:u*s:*:x", True, resource="arn:aws:logs:us:9:x"),
    resources("* at the end of a part may hold colons", "arn:aws:logs:*:123456789012:x", True,
              resource="arn:aws:logs:us:9:123456789012:x"),
    resources("a last * for the parts that follow", "arn:aws:neptune-db:*", True),
    resources("a last * for the parts that follow, another service", "arn:aws:s3:*", False),
    resources("* over slashes", f"{BUCKET}/*/test/*", True, resource=f"{BUCKET}/1/2/test/3/object.jpg"),
    resources("* for nothing between slashes", f"{BUCKET}/*/test/*", True, resource=f"{BUCKET}//test/"),
    resources("* needs the slashes", f"{BUCKET}/*/test/*", False, resource=f"{BUCKET}/1-test/object.jpg"),
    resources("a folder is not the folder's contents", f"{BUCKET}/home/*", False, resource=f"{BUCKET}/home"),
    resources("one of a list", [f"{CLUSTER}X/*", f"{CLUSTER}/*"], True),
    resources("none of a list", [f"{CLUSTER}X/*", f"{CLUSTER}Y/*"], False),
    Case("not this resource: another", {"NotResource": f"{CLUSTER}X/*"}, True),
    Case("not this resource: this", {"NotResource": f"{CLUSTER}/*"}, False),
    Case("not these resources", {"NotResource": [f"{CLUSTER}X/*", f"{CLUSTER}/*"]}, False),
    Case("both the action and the resource", {"Action": "neptune-db:Get*", "Resource": f"{CLUSTER}/*"}, True),
    Case("the action but not the resource", {"Action": "neptune-db:Get*", "Resource": f"{CLUSTER}X/*"}, False),
    Case("the resource but not the action", {"Action": "neptune-db:List*", "Resource": f"{CLUSTER}/*"}, False),
]


@pytest.mark.parametrize("case", [*ACTION_CASES, *RESOURCE_CASES], ids=lambda case: case.name)
def test_what_a_statement_is_about(case: Case) -> None:
    about = statement(**case.elements)
    assert decide(document(about), action=case.action, resource=case.resource).allowed is case.applies
    denied = decide(document({**about, "Effect": "Deny"}, statement()), action=case.action, resource=case.resource)
    assert denied.allowed is not case.applies


class Variables(NamedTuple):
    """A statement's elements with variables, a request, and whether the statement allows and denies it."""

    name: str
    elements: dict[str, Any]
    context: Context
    applies: bool
    resource: str = f"{BUCKET}/alice/x"
    version: str = "2012-10-17"


HOME = {"Resource": f"{BUCKET}/${{aws:username}}/*"}


def text(operator: str, value: str) -> dict[str, Any]:
    return {"Condition": {operator: {"test:Key": value}}}


# IAM user guide, "IAM policy elements: Variables and tags"
VARIABLES = [
    Variables("a resource", HOME, {"aws:username": "alice"}, True),
    Variables("a resource: another user", HOME, {"aws:username": "bob"}, False),
    Variables("a resource: case counts", HOME, {"aws:username": "Alice"}, False),
    Variables("case of the name does not count", {"Resource": f"{BUCKET}/${{AWS:UserName}}/*"}, {"aws:username": "alice"}, True),
    Variables("a tag", {"Resource": f"{BUCKET}/${{aws:PrincipalTag/team}}/*"}, {"aws:PrincipalTag/team": "alice"}, True),
    Variables("two in one", {"Resource": f"{BUCKET}/${{aws:username}}/${{aws:userid}}"},
              {"aws:username": "alice", "aws:userid": "x"}, True),
    Variables("a resource: no value", HOME, {}, False),
    Variables("a resource: an empty value is none", HOME, {"aws:username": ""}, False, resource=f"{BUCKET}//x"),
    Variables("a resource: several values are none", HOME, {"aws:username": ("alice", "bob")}, False),
    Variables("a resource: another of the list matches", {"Resource": [*HOME.values(), f"{BUCKET}/*"]}, {}, True),
    Variables("a value's * is no wildcard", HOME, {"aws:username": "*"}, False),
    Variables("a value's * is itself", HOME, {"aws:username": "*"}, True, resource=f"{BUCKET}/*/x"),
    Variables("a value is not read again", HOME, {"aws:username": "${aws:userid}", "aws:userid": "alice"}, False),
    Variables("a default", {"Resource": f"{BUCKET}/${{aws:username, 'alice'}}/*"}, {}, True),
    Variables("a default for several values", {"Resource": f"{BUCKET}/${{aws:username, 'alice'}}/*"},
              {"aws:username": ("a", "b")}, True),
    Variables("a default is not needed", {"Resource": f"{BUCKET}/${{aws:username, 'alice'}}/*"}, {"aws:username": "bob"}, False),
    Variables("a default's * is itself", {"Resource": f"{BUCKET}/${{aws:username, '*'}}/*"}, {}, False),
    Variables("the character *", {"Resource": f"{BUCKET}/${{*}}/*"}, {}, False),
    Variables("the character *, there", {"Resource": f"{BUCKET}/${{*}}/*"}, {}, True, resource=f"{BUCKET}/*/x"),
    Variables("the character ?", {"Resource": f"{BUCKET}/${{?}}"}, {}, True, resource=f"{BUCKET}/?"),
    Variables("the character ?, not another", {"Resource": f"{BUCKET}/${{?}}"}, {}, False, resource=f"{BUCKET}/a"),
    Variables("the character $", {"Resource": f"{BUCKET}/${{$}}{{aws:userid}}"}, {}, True, resource=f"{BUCKET}/${{aws:userid}}"),
    Variables("a $ alone is itself", {"Resource": f"{BUCKET}/$1"}, {}, True, resource=f"{BUCKET}/$1"),
    Variables("version 2008-10-17 has none", HOME, {"aws:username": "alice"}, False, version="2008-10-17"),
    Variables("version 2008-10-17: they are text", HOME, {}, True, resource=f"{BUCKET}/${{aws:username}}/x", version="2008-10-17"),
    Variables("text equal", text("StringEquals", "${aws:username}"), {"test:Key": "alice", "aws:username": "alice"}, True),
    Variables("text equal: it is not", text("StringEquals", "${aws:username}"), {"test:Key": "bob", "aws:username": "al"}, False),
    Variables("text equal: no value", text("StringEquals", "${aws:username}"), {"test:Key": "alice"}, False),
    Variables("text equal: an empty one equals no value", text("StringEquals", "${aws:username}"), {"test:Key": ""}, False),
    Variables("text not equal: no value", text("StringNotEquals", "${aws:username}"), {"test:Key": "alice"}, True),
    Variables("text equal: the character *", text("StringEquals", "a${*}"), {"test:Key": "a*"}, True),
    Variables("text like", text("StringLike", "home/${aws:username}/*"), {"test:Key": "home/al/x", "aws:username": "al"}, True),
    Variables("text like: over several lines", text("StringLike", "${aws:userid}*"), {"test:Key": "a\nx", "aws:userid": "a"}, True),
    Variables("text like: no value", text("StringLike", "home/${aws:username}/*"), {"test:Key": "home/al/x"}, False),
    Variables("text not like: no value", text("StringNotLike", "${aws:username}*"), {"test:Key": "alice"}, True),
    Variables("ignoring case", text("StringEqualsIgnoreCase", "X-${aws:userid}"), {"test:Key": "x-a", "aws:userid": "A"}, True),
    Variables("an ARN's part", text("ArnLike", "arn:aws:iam::${aws:PrincipalAccount}:user/*"),
              {"test:Key": ALICE, "aws:PrincipalAccount": "123456789012"}, True),
    Variables("a whole ARN", text("ArnEquals", "${aws:PrincipalArn}"), {"test:Key": ALICE, "aws:PrincipalArn": ALICE}, True),
    Variables("an ARN: no value", text("ArnEquals", "${aws:PrincipalArn}"), {"test:Key": ALICE}, False),
    Variables("version 2008-10-17: text in conditions", text("StringEquals", "${aws:userid}"), {"test:Key": "${aws:userid}"},
              True, version="2008-10-17"),
]


@pytest.mark.parametrize("case", VARIABLES, ids=lambda case: case.name)
def test_variables(case: Variables) -> None:
    about = statement(**case.elements)
    allowing = document(about, version=case.version)
    assert decide(allowing, resource=case.resource, context=case.context).allowed is case.applies
    denying = document({**about, "Effect": "Deny"}, statement(), version=case.version)
    assert decide(denying, resource=case.resource, context=case.context).allowed is not case.applies


def test_an_excluded_resource_without_a_value_widens_only_what_is_denied() -> None:
    """AWS says only that such a resource matches nothing."""
    others = {"NotResource": f"{BUCKET}/${{aws:username}}/*"}
    assert not decide(document(statement(**others))).allowed
    assert not decide(document(statement("Deny", **others), statement())).allowed
    assert decide(document(statement(**others)), context={"aws:username": "alice"}).allowed


def test_without_a_version_there_are_no_variables() -> None:
    policy = {"Statement": statement(**HOME)}
    assert not decide(policy, resource=f"{BUCKET}/alice/x", context={"aws:username": "alice"}).allowed
    assert decide(policy, resource=f"{BUCKET}/${{aws:username}}/x").allowed


ALLOW, DENY, OTHER = document(statement(Sid="Yes")), document(statement("Deny", Sid="No")), document(statement(Action="s3:*"))


# IAM user guide, "Policy evaluation logic" and "Permissions boundaries for IAM entities"
@pytest.mark.parametrize(("documents", "boundary", "reason", "named"), [
    ([], None, Reason.NO_ALLOW, None),
    ([document()], None, Reason.NO_ALLOW, None),
    ([OTHER], None, Reason.NO_ALLOW, None),
    ([ALLOW], None, Reason.ALLOWED, "p0/Yes"),
    ([OTHER, ALLOW], None, Reason.ALLOWED, "p1/Yes"),
    ([DENY], None, Reason.EXPLICIT_DENY, "p0/No"),
    ([ALLOW, DENY], None, Reason.EXPLICIT_DENY, "p1/No"),
    ([DENY, ALLOW], None, Reason.EXPLICIT_DENY, "p0/No"),
    ([document(statement(), statement("Deny"))], None, Reason.EXPLICIT_DENY, "p0/Statement[1]"),
    ([{"Version": "2012-10-17", "Statement": statement()}], None, Reason.ALLOWED, "p0/Statement"),
    ([{"Statement": statement()}], None, Reason.ALLOWED, "p0/Statement"),
    ([ALLOW], ALLOW, Reason.ALLOWED, "p0/Yes"),
    ([ALLOW], OTHER, Reason.NOT_IN_BOUNDARY, "bounds"),
    ([ALLOW], document(), Reason.NOT_IN_BOUNDARY, "bounds"),
    ([OTHER], ALLOW, Reason.NO_ALLOW, None),
    ([], ALLOW, Reason.NO_ALLOW, None),
    ([ALLOW], DENY, Reason.EXPLICIT_DENY, "bounds/No"),
    ([ALLOW], document(statement(), statement("Deny")), Reason.EXPLICIT_DENY, "bounds/Statement[1]"),
    ([DENY], ALLOW, Reason.EXPLICIT_DENY, "p0/No"),
], ids=["nothing", "no statement", "of another service", "allowed", "by the second policy", "denied", "a denial wins",
        "a denial wins first", "a denial in the same policy", "a single statement", "no version", "within the boundary",
        "outside the boundary", "an empty boundary", "the boundary grants nothing", "not even alone", "denied by the boundary",
        "the boundary's own denial", "denied within the boundary"])
def test_a_decision_and_its_reason(documents: list[dict[str, Any]], boundary: dict[str, Any] | None, reason: Reason,
                                   named: str | None) -> None:
    decision = decide(*documents, boundary=boundary)
    assert (decision.reason, decision.statement, decision.allowed) == (reason, named, reason is Reason.ALLOWED)


def test_a_decision_reads_as_a_sentence() -> None:
    assert str(decide(ALLOW)) == "allowed by p0/Yes"
    assert str(decide(DENY)) == "with an explicit deny in p0/No"
    assert str(decide()) == "because no identity-based policy allows the action"
    assert str(decide(ALLOW, boundary=OTHER)) == "because the permissions boundary bounds does not allow the action"


@pytest.mark.parametrize("operation", [*OPERATIONS, *LOG_OPERATIONS], ids=lambda operation: operation.name)
def test_each_operation_has_an_action_that_policies_know(operation: Any) -> None:
    assert operation.action in ACTIONS
    action = f"neptune-db:{operation.action}"
    assert decide(document(statement(Action=action)), action=action).allowed
    assert not decide(document(statement(NotAction=action)), action=action).allowed


def test_get_and_list_by_wildcard_are_all_reads() -> None:
    reader = document(statement(Action=["neptune-db:Get*", "neptune-db:List*"]))
    for operation in OPERATIONS:
        assert decide(reader, action=f"neptune-db:{operation.action}").allowed is (operation.method == "GET")


def test_a_pattern_takes_time_linear_in_the_text() -> None:
    """A pattern that a backtracking matcher would not finish in a lifetime."""
    policy = document(statement(Condition={"StringLike": {"test:Key": "*a" * 60 + "*b"}}))
    assert not decide(policy, context={"test:Key": "a" * 5000}).allowed


def test_changes_of_the_context_are_seen() -> None:
    policy = Policy.parse(document(statement(Resource=f"{BUCKET}/${{aws:username}}")))
    for user, allowed in [("alice", True), ("bob", False), ("alice", True)]:
        request = AuthorizationRequest(action=GET, resource=f"{BUCKET}/alice", context={"aws:username": user})
        assert evaluate([policy], None, request).allowed is allowed
