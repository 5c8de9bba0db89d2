"""The Condition element: operators, keys and values, compiled to tests of a request's context.

Of a condition, all operators and all keys must hold, and of a key's values one; of a negated operator's values, none may match.
Where AWS's documents are silent or contradict each other, a test holds in a Deny statement and fails in an Allow statement, so that
what is unclear is never permitted (``docs/design/0017-policies.md``).

Source: IAM user guide, "IAM JSON policy elements: Condition operators", "Conditions with multiple context keys or values", and
"Single-valued vs. multivalued context keys".
"""

import json
import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from despina.auth import operands
from despina.auth.document import InvalidPolicy, entries, kind, shown, suggestion
from despina.auth.patterns import Context, Patterns, Tokens, Variable, arn_glob, segments, tokens
from despina.auth.vocabulary import MULTIVALUED, known_key

Test = Callable[[Context], bool]
"""Whether a condition holds for a request."""
Check = Callable[[str, Context], bool]
"""Whether one value of the request satisfies an operator and the policy's values."""
Values = list[tuple[str, str]]
"""The policy's values, each with its place."""

Wanted = TypeVar("Wanted")
Given = TypeVar("Given")


class Usage(NamedTuple):
    """Where an operator stands."""

    deny: bool
    """In a statement that denies."""
    variables: bool
    """In a policy whose version has variables."""
    negated: bool = False
    """It is the negated form."""


class Operator(NamedTuple):
    """An operator without its qualifier and suffix."""

    compile: Callable[[Values, Usage], Check]
    """From the policy's values to what they ask of one value of the request. Raises InvalidPolicy."""
    negated: bool = False
    single: bool = False
    """Whether it takes exactly one value."""


def _strings(values: Values, usage: Usage, *, wildcards: bool = False, ignore_case: bool = False) -> Check:
    patterns = [tokens(value, place, wildcards=wildcards, variables=usage.variables) for place, value in values]
    return _matched(Patterns(patterns, ignore_case=ignore_case), usage)


def _arns(values: Values, usage: Usage) -> Check:
    return _matched(Patterns([_arn(value, place, variables=usage.variables) for place, value in values], arn_glob), usage)


def _matched(patterns: Patterns, usage: Usage) -> Check:
    if usage.negated:
        return lambda value, context: not patterns.match(value, context)
    return patterns.match


def _arn(value: str, place: str, *, variables: bool) -> Tokens:
    pattern = tokens(value, place, wildcards=True, variables=variables)
    parts = segments(pattern)
    # A variable may stand for a whole ARN, whose parts are not known yet.
    if not any(isinstance(token, Variable) for token in pattern) and (len(parts) < 6 or parts[0] != ("arn",)):
        raise InvalidPolicy(f"{place}: {shown(value)} is no ARN; write its six parts, as in 'arn:aws:iam::123456789012:role/*', "
                            "or compare with StringLike")
    return pattern


def _compared(wanted: Callable[[str], Wanted], given: Callable[[str], Given], compare: Callable[[Given, Wanted], bool],
              values: Values, usage: Usage) -> Check:
    """Values that are read before they are compared. One of the request that cannot be read is unclear."""
    read = [_read(wanted, value, place) for place, value in values]
    unclear, negated = usage.deny, usage.negated

    def check(text: str, _context: Context) -> bool:
        try:
            value = given(text)
        except ValueError:
            return unclear
        for other in read:
            if compare(value, other):
                return not negated
        return negated

    return check


def _read(parse: Callable[[str], Wanted], value: str, place: str) -> Wanted:
    try:
        return parse(value)
    except ValueError as error:
        hint = "; policy variables may stand only in string and ARN operators" if "${" in value else ""
        raise InvalidPolicy(f"{place}: {shown(value)} {error}{hint}") from None


_number = partial(_compared, operands.number, operands.number)
_date = partial(_compared, operands.moment, operands.moment)
_address = partial(_compared, operands.network, operands.address, operands.within)

OPERATORS: dict[str, Operator] = {
    "StringEquals": Operator(_strings),
    "StringNotEquals": Operator(_strings, negated=True),
    "StringEqualsIgnoreCase": Operator(partial(_strings, ignore_case=True)),
    "StringNotEqualsIgnoreCase": Operator(partial(_strings, ignore_case=True), negated=True),
    "StringLike": Operator(partial(_strings, wildcards=True)),
    "StringNotLike": Operator(partial(_strings, wildcards=True), negated=True),
    "NumericEquals": Operator(partial(_number, operator.eq)),
    "NumericNotEquals": Operator(partial(_number, operator.eq), negated=True),
    "NumericLessThan": Operator(partial(_number, operator.lt)),
    "NumericLessThanEquals": Operator(partial(_number, operator.le)),
    "NumericGreaterThan": Operator(partial(_number, operator.gt)),
    "NumericGreaterThanEquals": Operator(partial(_number, operator.ge)),
    "DateEquals": Operator(partial(_date, operator.eq)),
    "DateNotEquals": Operator(partial(_date, operator.eq), negated=True),
    "DateLessThan": Operator(partial(_date, operator.lt)),
    "DateLessThanEquals": Operator(partial(_date, operator.le)),
    "DateGreaterThan": Operator(partial(_date, operator.gt)),
    "DateGreaterThanEquals": Operator(partial(_date, operator.ge)),
    "Bool": Operator(partial(_compared, operands.boolean, operands.boolean, operator.eq), single=True),
    "BinaryEquals": Operator(partial(_compared, operands.binary, operands.binary, operator.eq)),
    "IpAddress": Operator(_address),
    "NotIpAddress": Operator(_address, negated=True),
    "ArnEquals": Operator(_arns),
    "ArnLike": Operator(_arns),
    "ArnNotEquals": Operator(_arns, negated=True),
    "ArnNotLike": Operator(_arns, negated=True),
}
"""All operators but Null, which takes neither a qualifier nor IfExists."""

_QUALIFIERS = ("ForAllValues", "ForAnyValue")
_SPELLINGS = ["Null", *(f"{qualifier}{name}{suffix}" for qualifier in ("", *(f"{q}:" for q in _QUALIFIERS))
                        for name in OPERATORS for suffix in ("", "IfExists"))]


def compile_conditions(block: object, place: str, *, deny: bool, variables: bool) -> tuple[Test, ...]:
    """The tests of a Condition element, all of which must hold. Raises InvalidPolicy.

    ``deny`` says that the statement denies; ``variables`` that the policy's version has variables.
    """
    tests: list[Test] = []
    for name, keys in _members(block, place, "operators").items():
        below = f"{place}.{name}"
        seen: dict[str, str] = {}
        for key, value in _members(keys, below, "condition keys").items():
            lower = known_key(key, below)
            if lower in seen:
                raise InvalidPolicy(f"{below}: {shown(key)} and {shown(seen[lower])} are the same key; put all values into one "
                                    "list")
            seen[lower] = key
            values = [(at, _text(item, at)) for at, item in entries(value, f"{below}.{key}", "a value")]
            tests.append(_test(name, lower, values, below, Usage(deny, variables)))
    return tuple(tests)


def _members(value: object, place: str, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidPolicy(f"{place}: must be an object of {what}, it is {kind(value)}")
    if not value:
        raise InvalidPolicy(f"{place}: the object has no {what}, so it would not restrict anything; leave it out")
    return value


def _text(value: object, place: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)  # the grammar allows both without quotation marks
    raise InvalidPolicy(f"{place}: must be a string, a number or a boolean, it is {kind(value)}")


def _test(name: str, key: str, values: Values, place: str, usage: Usage) -> Test:
    if name == "Null":
        _single(values, place, name)
        return _null(key, wanted=_read(operands.boolean, values[0][1], values[0][0]))
    qualifier, colon, rest = name.rpartition(":")
    base = rest.removesuffix("IfExists")
    if base not in OPERATORS or (colon and qualifier not in _QUALIFIERS):
        raise InvalidPolicy(f"{place}: {shown(name)} is no condition operator{suggestion(name, _SPELLINGS)}")
    found, optional = OPERATORS[base], rest != base
    if found.single:
        _single(values, place, base)
    check = found.compile(values, usage._replace(negated=found.negated))
    if qualifier == "ForAllValues":
        return _for_all(key, check)
    if qualifier == "ForAnyValue":
        return _for_any(key, check, if_missing=optional and usage.deny)
    if key in MULTIVALUED:
        raise InvalidPolicy(f"{place}: '{key}' may have several values in a request; write ForAllValues:{name} or "
                            f"ForAnyValue:{name}")
    return _plain(key, check, if_missing=found.negated or optional, if_several=usage.deny)


def _single(values: Values, place: str, name: str) -> None:
    if len(values) != 1:
        raise InvalidPolicy(f"{place}: {name} takes one value, 'true' or 'false'; {len(values)} are given")


def _plain(key: str, check: Check, *, if_missing: bool, if_several: bool) -> Test:
    def test(context: Context) -> bool:
        value = context.get(key)
        if not isinstance(value, str):
            if not value:
                return if_missing
            if len(value) > 1:
                return if_several
            value = value[0]
        return check(value, context)

    return test


def _values(key: str, context: Context) -> tuple[str, ...]:
    """The values that count for a set: an empty one is none (IAM user guide, "Single-valued vs. multivalued context keys")."""
    value = context.get(key) or ()
    return (value,) if isinstance(value, str) else () if value == ("",) else value


def _for_all(key: str, check: Check) -> Test:
    return lambda context: all(check(value, context) for value in _values(key, context))


def _for_any(key: str, check: Check, *, if_missing: bool) -> Test:
    def test(context: Context) -> bool:
        if if_missing and not context.get(key):
            return True
        return any(check(value, context) for value in _values(key, context))

    return test


def _null(key: str, *, wanted: bool) -> Test:
    return lambda context: (not _values(key, context)) is wanted
