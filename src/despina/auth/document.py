"""Reading a policy document member by member, with refusals that name the place, the value and what would be right."""

import json
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from despina.core.errors import DespinaError

MAX_CHARACTERS = 6144
"""Characters of a document, white space not counted: a managed policy's quota (IAM user guide, "IAM and AWS STS quotas")."""
MAX_WITH_SPACE = 65_536
"""Characters with white space: what is longer is not even looked at."""
_MAX_SHOWN = 200


class InvalidPolicy(DespinaError):
    """A policy document that cannot be understood. The text names the place in it, the value and what would be right."""


def load(document: str | Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object that a document is. Raises InvalidPolicy if it is not one, is too long, or has a member twice."""
    if not isinstance(document, str):
        try:
            document = json.dumps(document, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidPolicy(f"the document cannot be written as JSON: {error}") from None
    if len(document) > MAX_WITH_SPACE:
        raise InvalidPolicy(f"the document has {len(document)} characters; {MAX_WITH_SPACE} are allowed, white space included")
    size = len("".join(document.split()))
    if size > MAX_CHARACTERS:
        raise InvalidPolicy(f"the document has {size} characters without white space; {MAX_CHARACTERS} are allowed. "
                            "Divide it into several policies")
    try:
        value = json.loads(document, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise InvalidPolicy(f"this is not JSON: {error}") from None
    except RecursionError:
        raise InvalidPolicy("the document is nested too deeply") from None
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidPolicy(f"this is not JSON that can be read: {error}") from None
    if not isinstance(value, dict):
        raise InvalidPolicy(f"a policy is a JSON object with Version and Statement; this is {kind(value)}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidPolicy(f"the member {shown(twice)} stands twice in one object: put its values into one list")
    return members


def _no_constant(name: str) -> None:
    raise InvalidPolicy(f"{name} is no JSON number")


def allow(members: Mapping[str, Any], names: Collection[str], what: str, place: str = "") -> None:
    """Refuse members other than these elements of ``what``."""
    for name in members:
        if name not in names:
            where = f"{place}: " if place else ""
            raise InvalidPolicy(f"{where}{shown(name)} is no element of {what}{suggestion(name, names)}; known are "
                                f"{', '.join(names)}")


def entries(value: object, place: str, what: str) -> Iterator[tuple[str, Any]]:
    """A value, or each of a list of one or more values, with its place. ``what`` says what a value is, as in "an action"."""
    if not isinstance(value, list):
        yield place, value
        return
    if not value:
        raise InvalidPolicy(f"{place}: the list is empty; it must hold at least {what}")
    for number, item in enumerate(value):
        yield f"{place}[{number}]", item


def text(value: object, place: str, what: str) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise InvalidPolicy(f"{place}: must be {what}, it is {kind(value)}")
    return value


def suggestion(word: str, words: Collection[str]) -> str:
    """``" (did you mean 'x'?)"`` with the most similar of the words, whatever their case, or nothing."""
    by_case = {known.lower(): known for known in words}
    close = get_close_matches(word.lower(), by_case, n=1)
    return f" (did you mean '{by_case[close[0]]}'?)" if close else ""


def shown(value: str) -> str:
    """A value in quotes, not too long, and in characters that can be printed."""
    printable = value.encode("utf-8", "backslashreplace").decode()
    return f"'{printable[:_MAX_SHOWN]}…'" if len(printable) > _MAX_SHOWN else f"'{printable}'"


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value == "":
        return "an empty string"
    return {type(None): "missing or null", bool: "a boolean", int: "a number", float: "a number", str: "a string",
            list: "a list"}.get(type(value), "an object")
