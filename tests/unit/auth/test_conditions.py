"""What AWS documents of conditions, as cases. Each is tried in a statement that allows and in one that denies."""

from typing import Any, NamedTuple

import pytest
from tests.unit.auth.documents import Context, decide, document, statement

ALICE = "arn:aws:iam::123456789012:user/alice"


class Case(NamedTuple):
    """A condition on ``key`` (with ``values`` in the policy), and whether it holds for a request with ``given`` (None: without)."""

    name: str
    operator: str
    values: Any
    given: str | tuple[str, ...] | None
    holds: bool
    key: str = "test:Key"


# IAM user guide, "IAM JSON policy elements: Condition operators", string condition operators
STRINGS = [
    Case("equal", "StringEquals", "eu", "eu", True),
    Case("equal: case counts", "StringEquals", "eu", "EU", False),
    Case("equal: the whole text", "StringEquals", "eu", "eu-1", False),
    Case("equal: * is no wildcard", "StringEquals", "e*", "eu", False),
    Case("equal: * is itself", "StringEquals", "e*", "e*", True),
    Case("equal: ? is no wildcard", "StringEquals", "e?", "eu", False),
    Case("equal: one of several values", "StringEquals", ["us", "eu"], "eu", True),
    Case("equal: none of several values", "StringEquals", ["us", "eu"], "ap", False),
    Case("equal: the empty text", "StringEquals", "", "", True),
    Case("equal: white space counts", "StringEquals", "eu", "eu ", False),
    Case("equal: a number without quotation marks", "StringEquals", 10, "10", True),
    Case("equal: a boolean without quotation marks", "StringEquals", True, "true", True),
    Case("equal: the key is missing", "StringEquals", "eu", None, False),
    Case("not equal", "StringNotEquals", "eu", "us", True),
    Case("not equal: it is", "StringNotEquals", "eu", "eu", False),
    Case("not equal: case counts", "StringNotEquals", "eu", "EU", True),
    Case("not equal: none of several may match", "StringNotEquals", ["us", "eu"], "eu", False),
    Case("not equal: none of several matches", "StringNotEquals", ["us", "eu"], "ap", True),
    Case("not equal: the key is missing", "StringNotEquals", "eu", None, True),
    Case("ignoring case", "StringEqualsIgnoreCase", "Eu", "eU", True),
    Case("ignoring case: another text", "StringEqualsIgnoreCase", "eu", "us", False),
    Case("ignoring case: * is no wildcard", "StringEqualsIgnoreCase", "e*", "EU", False),
    Case("ignoring case: the key is missing", "StringEqualsIgnoreCase", "eu", None, False),
    Case("not equal ignoring case", "StringNotEqualsIgnoreCase", "eu", "EU", False),
    Case("not equal ignoring case: another text", "StringNotEqualsIgnoreCase", "eu", "us", True),
    Case("not equal ignoring case: the key is missing", "StringNotEqualsIgnoreCase", "eu", None, True),
    Case("like: * is any characters", "StringLike", "home/*", "home/a/b", True),
    Case("like: * is no characters", "StringLike", "home/*", "home/", True),
    Case("like: * in the middle", "StringLike", "a*c*e", "abcde", True),
    Case("like: parts in their order", "StringLike", "*a*b*", "ba", False),
    Case("like: parts do not overlap", "StringLike", "ab*ba", "aba", False),
    Case("like: ? is one character", "StringLike", "t?", "t1", True),
    Case("like: ? is not none", "StringLike", "t?", "t", False),
    Case("like: ? is not two", "StringLike", "t?", "t12", False),
    Case("like: * and ? together", "StringLike", "*.t?.*", "m.t2.large", True),
    Case("like: no part of a text without wildcards", "StringLike", "eu", "eu-1", False),
    Case("like: case counts", "StringLike", "e*", "EU", False),
    Case("like: a dot is a dot", "StringLike", "t1.*", "t1x", False),
    Case("like: over several lines", "StringLike", "a*b", "a\nb", True),
    Case("like: one of several", "StringLike", ["", "home/*"], "", True),
    Case("like: the key is missing", "StringLike", "*", None, False),
    Case("not like", "StringNotLike", "e*", "eu", False),
    Case("not like: another text", "StringNotLike", "e*", "us", True),
    Case("not like: none of several may match", "StringNotLike", ["u*", "e*"], "eu", False),
    Case("not like: the key is missing", "StringNotLike", "e*", None, True),
]
# … numeric condition operators
NUMBERS = [
    Case("number equal", "NumericEquals", "10", "10", True),
    Case("number equal: by value", "NumericEquals", "10", "10.0", True),
    Case("number equal: a leading zero", "NumericEquals", "10", "010", True),
    Case("number equal: one of several", "NumericEquals", [9, 10], "10", True),
    Case("number equal: exactly", "NumericEquals", "0.1", "0.10000000000000000001", False),
    Case("number equal: the key is missing", "NumericEquals", "10", None, False),
    Case("number not equal", "NumericNotEquals", "10", "11", True),
    Case("number not equal: it is", "NumericNotEquals", "10", "10", False),
    Case("number not equal: the key is missing", "NumericNotEquals", "10", None, True),
    Case("number less", "NumericLessThan", "10", "9", True),
    Case("number less: not as text", "NumericLessThan", "10", "9.5", True),
    Case("number less: equal is not", "NumericLessThan", "10", "10", False),
    Case("number at most: equal", "NumericLessThanEquals", "10", "10", True),
    Case("number at most: more", "NumericLessThanEquals", "10", "10.01", False),
    Case("number greater", "NumericGreaterThan", "-1", "0", True),
    Case("number greater: equal is not", "NumericGreaterThan", "0", "0", False),
    Case("number at least: equal", "NumericGreaterThanEquals", 0.5, "0.5", True),
    Case("number at least: less", "NumericGreaterThanEquals", "0", "-1", False),
    Case("number at least: the key is missing", "NumericGreaterThanEquals", "0", None, False),
]
# … date condition operators; W3C note on date and time formats
DATES = [
    Case("time equal", "DateEquals", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z", True),
    Case("time equal: in another zone", "DateEquals", "2026-01-31T12:00:00Z", "2026-01-31T13:30:00+01:30", True),
    Case("time equal: west of it", "DateEquals", "2026-01-31T12:00Z", "2026-01-31T07:00-05:00", True),
    Case("time equal: a day is its beginning", "DateEquals", "2026-01-31", "2026-01-31T00:00:00Z", True),
    Case("time equal: a month is its beginning", "DateEquals", "2026-02", "2026-02-01", True),
    Case("time equal: a year is its beginning", "DateEquals", "2026", "2026-01-01", True),
    Case("time equal: seconds since 1970", "DateEquals", "1577836800", "2020-01-01T00:00:00Z", True),
    Case("time equal: a number without quotation marks", "DateEquals", 1577836800, "2020-01-01", True),
    Case("time equal: fractions count", "DateEquals", "2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00Z", False),
    Case("time equal: the key is missing", "DateEquals", "2026", None, False),
    Case("time not equal", "DateNotEquals", "2026", "2027", True),
    Case("time not equal: it is", "DateNotEquals", "2026", "2026-01-01", False),
    Case("time not equal: the key is missing", "DateNotEquals", "2026", None, True),
    Case("time before", "DateLessThan", "2026-06-30T00:00:00Z", "2026-06-29T23:59:59Z", True),
    Case("time before: at it", "DateLessThan", "2026-06-30T00:00:00Z", "2026-06-30T00:00:00Z", False),
    Case("time until: at it", "DateLessThanEquals", "2026-06-30T00:00:00Z", "2026-06-30T00:00:00Z", True),
    Case("time until: after it", "DateLessThanEquals", "2026-06-30T00:00:00Z", "2026-06-30T00:00:01Z", False),
    Case("time after", "DateGreaterThan", "2026-04-01T00:00:00Z", "2026-04-01T00:00:01Z", True, "aws:CurrentTime"),
    Case("time after: at it", "DateGreaterThan", "2026-04-01T00:00:00Z", "2026-04-01T00:00:00Z", False, "aws:CurrentTime"),
    Case("time from: at it", "DateGreaterThanEquals", "2026-04-01T00:00:00Z", "1775001600", True, "aws:EpochTime"),
    Case("time: without temporary credentials", "DateGreaterThan", "2020-01-01T00:00:01Z", None, False, "aws:TokenIssueTime"),
]
# … Boolean and binary condition operators
BOOLEANS = [
    Case("boolean", "Bool", "true", "true", True, "aws:SecureTransport"),
    Case("boolean: the other", "Bool", "true", "false", False, "aws:SecureTransport"),
    Case("boolean: false", "Bool", "false", "false", True, "aws:SecureTransport"),
    Case("boolean: without quotation marks", "Bool", True, "true", True),
    Case("boolean: in a list", "Bool", ["true"], "true", True),
    Case("boolean: case does not count", "Bool", "True", "true", True),
    Case("boolean: the key is missing", "Bool", "false", None, False, "aws:MultiFactorAuthPresent"),
    Case("boolean if it exists: the key is missing", "BoolIfExists", "false", None, True, "aws:MultiFactorAuthPresent"),
    Case("binary", "BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
    Case("binary: byte for byte", "BinaryEquals", "QmluYXJ5", "YmluYXJ5", False),
    Case("binary: one of several", "BinaryEquals", ["AA==", "QmluYXJ5"], "QmluYXJ5", True),
    Case("binary: the key is missing", "BinaryEquals", "QmluYXJ5", None, False),
]
# … IP address condition operators
ADDRESSES = [
    Case("address in a range", "IpAddress", "203.0.113.0/24", "203.0.113.255", True, "aws:SourceIp"),
    Case("address outside a range", "IpAddress", "203.0.113.0/24", "203.0.114.0", False, "aws:SourceIp"),
    Case("address: without a prefix it is /32", "IpAddress", "203.0.113.5", "203.0.113.5", True, "aws:SourceIp"),
    Case("address: without a prefix, the next one", "IpAddress", "203.0.113.5", "203.0.113.6", False, "aws:SourceIp"),
    Case("address: all of version 4", "IpAddress", "0.0.0.0/0", "198.51.100.1", True, "aws:SourceIp"),
    Case("address of version 6", "IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5678::9", True, "aws:SourceIp"),
    Case("address of version 6, outside", "IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5679::9", False, "aws:SourceIp"),
    Case("address of version 6, written in full", "IpAddress", "2001:db8::1", "2001:0db8:0:0:0:0:0:1", True, "aws:SourceIp"),
    Case("address: both versions mixed", "IpAddress", ["203.0.113.0/24", "2001:db8::/32"], "2001:db8::7", True, "aws:SourceIp"),
    Case("address: the versions differ", "IpAddress", "::/0", "203.0.113.5", False, "aws:SourceIp"),
    Case("address: IPv4 through an IPv6 socket", "IpAddress", "203.0.113.0/24", "::ffff:203.0.113.5", True, "aws:SourceIp"),
    Case("address: the key is missing", "IpAddress", "0.0.0.0/0", None, False, "aws:SourceIp"),
    Case("not address: outside", "NotIpAddress", "203.0.113.0/24", "198.51.100.1", True, "aws:SourceIp"),
    Case("not address: inside", "NotIpAddress", "203.0.113.0/24", "203.0.113.1", False, "aws:SourceIp"),
    Case("not address: none of several", "NotIpAddress", ["203.0.113.0/24", "192.0.2.0/24"], "192.0.2.1", False, "aws:SourceIp"),
    Case("not address: the key is missing", "NotIpAddress", "203.0.113.0/24", None, True, "aws:SourceIp"),
]
# … Amazon Resource Name (ARN) condition operators
QUEUE = "arn:aws:someservice:*:111122223333:finance/*"
ODD = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"
ARNS = [
    Case("ARN equal", "ArnEquals", ALICE, ALICE, True, "aws:PrincipalArn"),
    Case("ARN equal: case counts", "ArnEquals", ALICE, ALICE.replace("alice", "Alice"), False, "aws:PrincipalArn"),
    Case("ARN equal: wildcards as in like", "ArnEquals", "arn:aws:iam::*:user/*", ALICE, True, "aws:PrincipalArn"),
    Case("ARN like", "ArnLike", "arn:aws:iam::123456789012:user/*", ALICE, True, "aws:PrincipalArn"),
    Case("ARN like: ? is one character", "ArnLike", "arn:aws:iam::12345678901?:user/alic?", ALICE, True, "aws:PrincipalArn"),
    Case("ARN like: * in any part", "ArnLike", "arn:*:*:*:*:user/alice", ALICE, True, "aws:PrincipalArn"),
    Case("ARN like: another account", "ArnLike", "arn:aws:iam::999999999999:*", ALICE, False, "aws:PrincipalArn"),
    Case("ARN like: parts stay apart", "ArnLike", QUEUE, ODD, False),
    Case("the same as text: they do not", "StringLike", QUEUE, ODD, True),
    Case("ARN like: colons in the last part", "ArnLike", "arn:aws:logs:*:*:log-group:*", "arn:aws:logs:eu:1:log-group:a:*", True),
    Case("ARN like: the request's value is none", "ArnLike", "arn:aws:*:*:*:*", "alice", False),
    Case("ARN like: the key is missing", "ArnLike", "arn:*:*:*:*:*", None, False, "aws:SourceArn"),
    Case("ARN not equal", "ArnNotEquals", ALICE, f"{ALICE}2", True, "aws:PrincipalArn"),
    Case("ARN not equal: it is", "ArnNotEquals", ALICE, ALICE, False, "aws:PrincipalArn"),
    Case("ARN not like", "ArnNotLike", "arn:aws:iam::*:role/*", ALICE, True, "aws:PrincipalArn"),
    Case("ARN not like: it is", "ArnNotLike", "arn:aws:iam::*:user/*", ALICE, False, "aws:PrincipalArn"),
    Case("ARN not like: the key is missing", "ArnNotLike", "arn:aws:iam::*:user/*", None, True, "aws:SourceArn"),
]
# … IfExists, and the operator that checks the existence of condition keys
EXISTENCE = [
    Case("if it exists: it matches", "StringLikeIfExists", ["t1.*", "t2.*"], "t2.large", True),
    Case("if it exists: it does not match", "StringLikeIfExists", ["t1.*", "t2.*"], "m5.large", False),
    Case("if it exists: it is missing", "StringLikeIfExists", ["t1.*", "t2.*"], None, True),
    Case("if it exists, negated: it is missing", "StringNotEqualsIfExists", "eu", None, True),
    Case("if it exists, negated: it matches", "StringNotEqualsIfExists", "eu", "eu", False),
    Case("if it exists, a number", "NumericLessThanIfExists", "10", None, True),
    Case("if it exists, a time", "DateLessThanIfExists", "2026", "2027", False),
    Case("if it exists, an address", "IpAddressIfExists", "203.0.113.0/24", None, True, "aws:SourceIp"),
    Case("if it exists, an ARN", "ArnLikeIfExists", "arn:aws:iam::*:role/*", ALICE, False, "aws:PrincipalArn"),
    Case("null: it is missing", "Null", "true", None, True, "aws:TokenIssueTime"),
    Case("null: it is there", "Null", "true", "2026-01-01T00:00:00Z", False, "aws:TokenIssueTime"),
    Case("not null: it is there", "Null", "false", "2026-01-01T00:00:00Z", True, "aws:TokenIssueTime"),
    Case("not null: it is missing", "Null", "false", None, False, "aws:TokenIssueTime"),
    Case("null: without quotation marks", "Null", True, None, True),
    Case("null: no values", "Null", "true", (), True, "aws:TagKeys"),
    Case("not null: an empty value", "Null", "false", ("",), False, "aws:TagKeys"),
    Case("not null: several values", "Null", "false", ("a", "b"), True, "aws:TagKeys"),
]
# IAM user guide, "Single-valued vs. multivalued context keys" and "Multivalued context key examples"
SETS = [
    Case("all values: each matches", "ForAllValues:StringEquals", ["a", "b", "c"], ("a", "b"), True, "aws:TagKeys"),
    Case("all values: one does not", "ForAllValues:StringEquals", ["a", "b"], ("a", "z"), False, "aws:TagKeys"),
    Case("all values: a single one", "ForAllValues:StringEquals", ["a", "b"], "a", True, "aws:TagKeys"),
    Case("all values: the key is missing", "ForAllValues:StringEquals", ["a"], None, True, "aws:TagKeys"),
    Case("all values: there are none", "ForAllValues:StringEquals", ["a"], (), True, "aws:TagKeys"),
    Case("all values: an empty text", "ForAllValues:StringEquals", ["a"], "", True, "aws:TagKeys"),
    Case("all values: one of them empty", "ForAllValues:StringEquals", ["a"], ("a", ""), False, "aws:TagKeys"),
    Case("all values: wildcards", "ForAllValues:StringLike", "key1*", ("key1:legal", "key1:sales"), True, "aws:TagKeys"),
    Case("all values: wildcards, one does not match", "ForAllValues:StringLike", "key1*", ("key1", "key2"), False, "aws:TagKeys"),
    Case("all values: negated, none matches", "ForAllValues:StringNotEquals", ["a", "b"], ("x", "y"), True, "aws:TagKeys"),
    Case("all values: negated, one matches", "ForAllValues:StringNotEquals", ["a", "b"], ("x", "a"), False, "aws:TagKeys"),
    Case("all values: negated, the key is missing", "ForAllValues:StringNotEquals", "a", None, True, "aws:TagKeys"),
    Case("all values: of numbers", "ForAllValues:NumericLessThan", "10", ("1", "9"), True),
    Case("all values: if it exists", "ForAllValues:StringEqualsIfExists", "a", None, True, "aws:TagKeys"),
    Case("any value: one matches", "ForAnyValue:StringEquals", ["a", "b"], ("x", "b"), True, "aws:TagKeys"),
    Case("any value: none matches", "ForAnyValue:StringEquals", ["a", "b"], ("x", "y"), False, "aws:TagKeys"),
    Case("any value: the key is missing", "ForAnyValue:StringEquals", ["a"], None, False, "aws:TagKeys"),
    Case("any value: there are none", "ForAnyValue:StringEquals", ["a"], (), False, "aws:TagKeys"),
    Case("any value: an empty text", "ForAnyValue:StringEquals", [""], "", False, "aws:TagKeys"),
    Case("any value: wildcards", "ForAnyValue:StringLike", "key1*", ("key2", "key1x"), True, "aws:TagKeys"),
    Case("any value: negated, one differs", "ForAnyValue:StringNotEquals", ["a", "b"], ("a", "x"), True, "aws:TagKeys"),
    Case("any value: negated, all match", "ForAnyValue:StringNotEquals", ["a", "b"], ("a", "b"), False, "aws:TagKeys"),
    Case("any value: negated, the key is missing", "ForAnyValue:StringNotEquals", "a", None, False, "aws:TagKeys"),
    Case("any value: of addresses", "ForAnyValue:IpAddress", "203.0.113.0/24", ("192.0.2.1", "203.0.113.9"), True),
]
# IAM user guide, "Condition": the case of keys does not count
KEYS = [
    Case("key: case does not count", "StringEquals", "eu", "eu", True, "TEST:key"),
    Case("key: a tag of the principal", "StringEquals", "sales", "sales", True, "aws:principaltag/Department"),
    Case("key: unknown to Neptune", "StringEquals", "vpc-1", None, False, "aws:SourceVpc"),
    Case("key: of another service", "StringLike", "*", None, False, "s3:prefix"),
]
CASES = [*STRINGS, *NUMBERS, *DATES, *BOOLEANS, *ADDRESSES, *ARNS, *EXISTENCE, *SETS, *KEYS]


def holds(operator: str, key: str, values: Any, context: Context, *, effect: str = "Allow") -> bool:
    """Whether a statement with this condition applies to a request."""
    conditional = statement(effect, Condition={operator: {key: values}})
    if effect == "Allow":
        return decide(document(conditional), context=context).allowed
    return not decide(document(conditional, statement()), context=context).allowed


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_condition(case: Case, effect: str) -> None:
    key = case.key.replace("TEST:key", "test:Key").replace("principaltag", "PrincipalTag")
    context: Context = {} if case.given is None else {key: case.given}
    assert holds(case.operator, case.key, case.values, context, effect=effect) is case.holds


UNCLEAR: list[tuple[str, str, Context]] = [
    ("StringEquals", "a", {"test:Key": ("a", "b")}),
    ("StringNotEquals", "c", {"test:Key": ("a", "b")}),
    ("ForAnyValue:StringEqualsIfExists", "a", {}),
    ("NumericLessThan", "10", {"test:Key": "many"}),
    ("NumericNotEquals", "10", {"test:Key": "1e1"}),
    ("DateLessThan", "2026", {"test:Key": "tomorrow"}),
    ("Bool", "false", {"test:Key": "no"}),
    ("BinaryEquals", "QmluYXJ5", {"test:Key": "Binary!"}),
    ("IpAddress", "0.0.0.0/0", {"test:Key": "localhost"}),
    ("NotIpAddress", "203.0.113.0/24", {"test:Key": "localhost"}),
    ("ForAnyValue:NumericLessThan", "10", {"test:Key": ("many", "more")}),
]


@pytest.mark.parametrize(("operator", "value", "context"), UNCLEAR, ids=lambda value: str(value)[:30])
def test_what_is_unclear_is_not_allowed(operator: str, value: str, context: Context) -> None:
    """Several values without a set operator, IfExists with one that fails without values, and values of a request that cannot be
    read: AWS's pages leave them open."""
    assert not holds(operator, "test:Key", value, context, effect="Allow")
    assert holds(operator, "test:Key", value, context, effect="Deny")


# IAM user guide, "Conditions with multiple context keys or values"
BLOCK = {"StringEquals": {"test:A": ["1", "2"], "test:B": "3"}, "NumericLessThan": {"test:C": "10"}}


@pytest.mark.parametrize(("context", "expected"), [
    ({"test:A": "1", "test:B": "3", "test:C": "9"}, True),
    ({"test:A": "2", "test:B": "3", "test:C": "9"}, True),
    ({"test:A": "3", "test:B": "3", "test:C": "9"}, False),
    ({"test:A": "1", "test:B": "1", "test:C": "9"}, False),
    ({"test:A": "1", "test:B": "3", "test:C": "10"}, False),
    ({"test:A": "1", "test:B": "3"}, False),
], ids=["all hold", "the other value", "one key fails", "the other key fails", "the other operator fails", "a key is missing"])
def test_all_operators_and_keys_must_hold(context: Context, expected: bool) -> None:
    assert decide(document(statement(Condition=BLOCK)), context=context).allowed is expected


def test_a_tuple_of_one_value_is_a_value() -> None:
    assert holds("StringEquals", "test:Key", "a", {"test:Key": ("a",)})
