"""The elements Action and Resource of a statement, and their opposites: checked and compiled.

Source: IAM user guide, "IAM JSON policy elements: Action" and "… Resource"; "IAM policy validation check reference".
"""

import re

from despina.auth.document import InvalidPolicy, entries, shown, suggestion, text
from despina.auth.patterns import Patterns, Tokens, Variable, Wild, resource_glob, segments, tokens
from despina.auth.vocabulary import ACTIONS, SERVICE

_ACTION = re.compile(r"([A-Za-z0-9-]+):([A-Za-z0-9*?]+)")
_EXAMPLE = f"'arn:aws:{SERVICE}:us-east-1:123456789012:cluster-ABCD1234EFGH5678IJKL90MNOP/*'"
_PARTS = ("arn", "partition", "service", "region", "account", "resource")
_FORMS = (
    (re.compile(r"arn"), "must be 'arn'"),
    (re.compile(r"[a-z0-9*?-]+"), "must be a partition such as 'aws' or 'aws-cn', or '*'"),
    (re.compile(r"[a-z0-9-]+"), f"must be a service such as '{SERVICE}' in lower case, with no wildcards"),
    (re.compile(r"[a-z0-9*?-]*"), "must be a region such as 'us-east-1', or '*'"),
    (re.compile(r"[0-9]{12}|aws||[0-9*?]*[*?][0-9*?]*"), "must be an account of 12 digits without hyphens, or '*'"),
    (re.compile(r".+", re.DOTALL), "must not be empty"),
)


def compile_actions(value: object, place: str) -> Patterns:
    """What matches an action in lower case, such as ``neptune-db:getmlendpointstatus``. Raises InvalidPolicy."""
    patterns = []
    for at, item in entries(value, place, "an action"):
        action = text(item, at, "an action or a list of actions")
        _check_action(action, at)
        patterns.append(tokens(action.lower(), at, wildcards=True, variables=False))
    return Patterns(patterns)


def _check_action(action: str, place: str) -> None:
    if action == "*":
        return
    found = _ACTION.fullmatch(action)
    if not found:
        raise InvalidPolicy(f"{place}: {shown(action)} is no action; write service:Name, where the name may have wildcards (* and "
                            f"?), as in '{SERVICE}:GetML*', or '*'")
    service, name = found.groups()
    if service.lower() != SERVICE:
        return
    pattern = Patterns([tokens(name, place, wildcards=True, variables=False)], ignore_case=True)
    if not any(pattern.match(known, {}) for known in ACTIONS):
        # The actions of get operations end in Status: an operation's name is the commonest mistake.
        close = f" (did you mean '{name}Status'?)" if f"{name}Status" in ACTIONS else suggestion(name, ACTIONS)
        raise InvalidPolicy(f"{place}: {SERVICE} has no action {shown(name)}{close}")


def compile_resources(value: object, place: str, *, variables: bool) -> Patterns:
    """What matches a resource's ARN. Raises InvalidPolicy."""
    patterns = []
    for at, item in entries(value, place, "a resource"):
        resource = text(item, at, "a resource's ARN or a list of them")
        pattern = tokens(resource, at, wildcards=True, variables=variables)
        _check_resource(pattern, resource, at)
        patterns.append(pattern)
    return Patterns(patterns, resource_glob)


def _check_resource(pattern: Tokens, resource: str, place: str) -> None:
    if pattern == (Wild.ANY,):
        return
    parts = segments(pattern)
    # A last * also stands for the parts that follow, but not for the service.
    if len(parts) < 4 or (len(parts) < 6 and parts[-1][-1:] != (Wild.ANY,)):
        raise InvalidPolicy(f"{place}: {shown(resource)} is no ARN of six parts, as in {_EXAMPLE}, nor '*'")
    for part, (form, rule), name in zip(parts, _FORMS, _PARTS, strict=False):
        if name != "resource" and any(isinstance(token, Variable) for token in part):
            raise InvalidPolicy(f"{place}: {shown(resource)} has a policy variable in its {name}; variables may stand only after "
                                "the fifth colon")
        written = "".join(token.value if isinstance(token, Wild) else str(token) for token in part)
        if not form.fullmatch(written):
            raise InvalidPolicy(f"{place}: {shown(resource)} has {shown(written)} as its {name}; it {rule}, as in {_EXAMPLE}")
