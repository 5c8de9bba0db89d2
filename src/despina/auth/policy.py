"""IAM policies: who may do what. Identity policies and permissions boundaries, parsed once and decided in microseconds.

A request is denied unless a statement allows it; a statement that denies wins over all that allow; where there is a permissions
boundary, it must allow as well. What AWS's documents leave open is decided in ``docs/design/0017-policies.md``.

Source: IAM user guide, "IAM JSON policy element reference" and "Policy evaluation logic".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from despina.auth.conditions import Test, compile_conditions
from despina.auth.document import InvalidPolicy, allow, kind, load, shown, suggestion
from despina.auth.elements import compile_actions, compile_resources
from despina.auth.patterns import Context, Patterns
from despina.core.frozen import Frozen

VERSIONS = ("2012-10-17", "2008-10-17")
_WITH_VARIABLES = "2012-10-17"
_MEMBERS = ("Version", "Id", "Statement")
_ELEMENTS = ("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
_SID = re.compile(r"[A-Za-z0-9]*")


class AuthorizationRequest(Frozen, frozen=True, kw_only=True):
    """What is to be decided."""

    action: str
    """With its service, as in ``neptune-db:GetMLEndpointStatus``; its case does not count."""
    resource: str
    """An ARN, as in ``arn:aws:neptune-db:us-east-1:123456789012:cluster-ABCD/database``."""
    context: Mapping[str, str | tuple[str, ...]] = {}
    """The values of condition keys, whose case does not count: a tuple for a key of several values, base64 for binary ones."""


class Reason(StrEnum):
    """Why a request is allowed or denied. Only ``EXPLICIT_DENY`` is an explicit denial."""

    ALLOWED = "Allowed"
    EXPLICIT_DENY = "ExplicitDeny"
    NO_ALLOW = "NoAllow"
    NOT_IN_BOUNDARY = "NotInBoundary"


class Decision(Frozen, frozen=True, kw_only=True):
    """What was decided, and why."""

    allowed: bool
    reason: Reason
    statement: str | None = None
    """The policy and the statement that allow or explicitly deny, as in ``readers/NoTraining`` or ``readers/Statement[2]``; for
    ``NOT_IN_BOUNDARY`` the boundary's name."""

    def __str__(self) -> str:
        """The end of a sentence such as "… is not authorized to perform …", in the words of AWS's own messages."""
        match self.reason:
            case Reason.ALLOWED:
                return f"allowed by {self.statement}"
            case Reason.EXPLICIT_DENY:
                return f"with an explicit deny in {self.statement}"
            case Reason.NO_ALLOW:
                return "because no identity-based policy allows the action"
            case Reason.NOT_IN_BOUNDARY:
                return f"because the permissions boundary {self.statement} does not allow the action"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A compiled statement."""

    name: str
    """The policy and the statement, as in ``Decision.statement``."""
    deny: bool
    actions: Patterns
    all_but_actions: bool
    """Whether it applies to all actions but these (NotAction)."""
    resources: Patterns
    all_but_resources: bool
    conditions: tuple[Test, ...]

    def may_apply(self, action: str, resource: str) -> bool:
        """Whether the statement is about this action, in lower case, and the resource, as far as that does not depend on more."""
        if self.actions.match(action, {}) is self.all_but_actions:
            return False
        return not self.resources.static or self._has(resource, {})

    def applies(self, resource: str, context: Context) -> bool:
        """Whether a statement that may apply does. The context's keys are in lower case."""
        if not self.resources.static and not self._has(resource, context):
            return False
        for test in self.conditions:  # noqa: SIM110  a generator would cost more than the tests
            if not test(context):
                return False
        return True

    def _has(self, resource: str, context: Context) -> bool:
        if self.resources.match(resource, context) is self.all_but_resources:
            return False
        # A NotResource whose variable has no value excludes nothing: that may widen what is denied, never what is allowed.
        return not (self.all_but_resources and not self.deny and self.resources.unresolved(context))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Policy:
    """A compiled policy: an identity policy or a permissions boundary."""

    name: str
    denials: tuple[Statement, ...]
    permissions: tuple[Statement, ...]

    @classmethod
    def parse(cls, document: str | Mapping[str, Any], *, name: str = "policy") -> "Policy":
        """Read a policy document.

        Arguments:
            document: JSON text, or what JSON text would be read to.
            name: what decisions and refusals call the policy.

        Raises:
            InvalidPolicy: The document cannot be understood in full. The text names the place, the value and what would be right.
        """
        try:
            statements = _statements(load(document), name)
        except InvalidPolicy as error:
            raise InvalidPolicy(f"The policy {shown(name)} is refused: {error}.") from None
        return cls(name=name, denials=tuple(statement for statement in statements if statement.deny),
                   permissions=tuple(statement for statement in statements if not statement.deny))


def evaluate(policies: Iterable[Policy], boundary: Policy | None, request: AuthorizationRequest) -> Decision:
    """Decide a request by all identity policies of a principal and, if it has one, its permissions boundary.

    The order of policies and statements does not matter for what is decided, only for which of several statements is named.
    """
    action, resource = request.action.lower(), request.resource
    context = dict(zip(_lower(tuple(request.context)), request.context.values(), strict=True))
    candidates = [_candidates(policy, action, resource) for policy in policies]
    bounds = _candidates(boundary, action, resource) if boundary is not None else None
    for policy in candidates if bounds is None else (*candidates, bounds):
        denial = _first(policy.denials, resource, context)
        if denial is not None:
            return Decision(allowed=False, reason=Reason.EXPLICIT_DENY, statement=denial.name)
    for policy in candidates:
        permission = _first(policy.permissions, resource, context)
        if permission is not None:
            break
    else:
        return Decision(allowed=False, reason=Reason.NO_ALLOW)
    if bounds is not None and _first(bounds.permissions, resource, context) is None:
        return Decision(allowed=False, reason=Reason.NOT_IN_BOUNDARY, statement=bounds.name)
    return Decision(allowed=True, reason=Reason.ALLOWED, statement=permission.name)


def settled(policies: Iterable[Policy], boundary: Policy | None, action: str, resource: str) -> Decision | None:
    """What is decided about an action and a resource, if no condition or variable of a statement about them can change it."""
    policies = tuple(policies)
    about = [_candidates(policy, action.lower(), resource) for policy in (*policies, *([boundary] if boundary else []))]
    if any(statement.conditions or not statement.resources.static
           for policy in about for statement in (*policy.denials, *policy.permissions)):
        return None
    return evaluate(policies, boundary, AuthorizationRequest(action=action, resource=resource))


@lru_cache(maxsize=1024)
def _candidates(policy: Policy, action: str, resource: str) -> Policy:
    """The part of a policy that may apply. It is remembered: requests are many, but are about few actions and resources."""
    return Policy(name=policy.name, denials=tuple(s for s in policy.denials if s.may_apply(action, resource)),
                  permissions=tuple(s for s in policy.permissions if s.may_apply(action, resource)))


@lru_cache(maxsize=64)
def _lower(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys in lower case. A server's requests have nearly always the same ones."""
    return tuple(key.lower() for key in keys)


def _first(statements: tuple[Statement, ...], resource: str, context: Context) -> Statement | None:
    """The first statement that applies."""
    for statement in statements:
        if statement.applies(resource, context):
            return statement
    return None


def _statements(document: Mapping[str, Any], policy: str) -> list[Statement]:
    _check_members(document)
    variables = _version(document) == _WITH_VARIABLES
    value = document.get("Statement")
    places: list[tuple[str, object]]
    if isinstance(value, list):
        places = [(f"Statement[{number}]", item) for number, item in enumerate(value)]
    else:
        places = [("Statement", value)]
    statements: list[Statement] = []
    for place, item in places:
        statement = _statement(item, place, policy, variables=variables)
        if any(statement.name == other.name for other in statements):
            raise InvalidPolicy(f"{place}.Sid: {shown(statement.name.rpartition('/')[2])} is the Sid of another statement too; "
                                "each must have its own")
        statements.append(statement)
    return statements


def _check_members(document: Mapping[str, Any]) -> None:
    allow(document, _MEMBERS, "a policy")
    if "Statement" not in document:
        raise InvalidPolicy("the element Statement is missing")
    if not isinstance(document.get("Id", ""), str):
        raise InvalidPolicy(f"Id: must be a string, it is {kind(document['Id'])}")


def _version(document: Mapping[str, Any]) -> str:
    version = document.get("Version", "2008-10-17")
    if not isinstance(version, str) or version not in VERSIONS:
        what = shown(version) if isinstance(version, str) else kind(version)
        raise InvalidPolicy(f"Version: must be '2012-10-17', or '2008-10-17' for the language without variables; it is {what}")
    return version


def _statement(value: object, place: str, policy: str, *, variables: bool) -> Statement:
    if not isinstance(value, dict):
        raise InvalidPolicy(f"{place}: must be an object with Effect, Action and Resource, it is {kind(value)}")
    for name in ("Principal", "NotPrincipal"):
        if name in value:
            raise InvalidPolicy(f"{place}.{name}: an identity policy has no {name}, since it applies to the principals that it is "
                                "attached to; leave it out")
    allow(value, _ELEMENTS, "a statement", place)
    deny = _effect(value, place)
    action, resource = _one_of(value, "Action", "NotAction", place), _one_of(value, "Resource", "NotResource", place)
    sid = value.get("Sid", "")
    if not isinstance(sid, str) or not _SID.fullmatch(sid):
        what = shown(sid) if isinstance(sid, str) else kind(sid)
        raise InvalidPolicy(f"{place}.Sid: must consist of the letters A-Z and a-z and digits, it is {what}")
    return Statement(
        name=f"{policy}/{sid or place}", deny=deny,
        actions=compile_actions(value[action], f"{place}.{action}"), all_but_actions=action == "NotAction",
        resources=compile_resources(value[resource], f"{place}.{resource}", variables=variables),
        all_but_resources=resource == "NotResource",
        conditions=compile_conditions(value["Condition"], f"{place}.Condition", deny=deny, variables=variables)
        if "Condition" in value else ())


def _effect(value: Mapping[str, Any], place: str) -> bool:
    match value.get("Effect"):
        case "Allow":
            return False
        case "Deny":
            return True
        case effect:
            what = f"{shown(effect)}{suggestion(effect, ('Allow', 'Deny'))}" if isinstance(effect, str) else kind(effect)
            raise InvalidPolicy(f"{place}.Effect: must be 'Allow' or 'Deny', it is {what}")


def _one_of(value: Mapping[str, Any], name: str, opposite: str, place: str) -> str:
    """Which of the two elements the statement has."""
    if (name in value) == (opposite in value):
        what = "has both" if name in value else "has neither"
        raise InvalidPolicy(f"{place}: a statement must have either {name} or {opposite}; this one {what}")
    return name if name in value else opposite
