"""Request bodies as JSON documents, strictly: what two readers could understand in two ways is refused.

Source: RFC 8259, and RFC 7493 (I-JSON) for repeated names, surrogates and the like.
"""

import json
from typing import Any, NoReturn

from despina.core.errors import MalformedRequest

MAX_DEPTH = 32
MAX_DIGITS = 100
"""Digits of a whole number that are converted; 64 bits have 19."""


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a request body; an empty body is an empty object.

    Raises:
        MalformedRequest: not UTF-8, not JSON, not an object, a repeated name, NaN or Infinity, a lone surrogate, or too deep.
    """
    if not body:
        return {}
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_int=_whole)
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The request body is not UTF-8: {body[error.start]:#04x} at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise MalformedRequest(f"The request body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise _too_deep() from None
    if not isinstance(document, dict):
        raise MalformedRequest(f"The request body must be a JSON object, not {type_name(document)}.")
    _check(document, 1)
    return document


def type_name(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {bool: "a boolean", int: "a whole number", float: "a number with a fraction or exponent", str: "a string",
             list: "a list", dict: "an object"}
    return names.get(type(value), "null")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise MalformedRequest(f"The member '{name[:100]}' stands more than once in an object of the request body.")
        found[name] = value
    return found


def _constant(text: str) -> NoReturn:
    raise MalformedRequest(f"The request body is not JSON: {text} is not a number of JSON.")


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise MalformedRequest(f"The request body has a number of {len(text)} digits ({text[:10]}…): {MAX_DIGITS} are the most.")
    return int(text)


def _check(value: Any, depth: int) -> None:
    """Refuse what is nested too deeply, and strings that are not Unicode text."""
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise MalformedRequest(f"The request body has a lone surrogate (\\u{ord(value[error.start]):x}) in a string.") from None
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise _too_deep()
        for item in value:
            _check(item, depth + 1)
        if isinstance(value, dict):
            for item in value.values():
                _check(item, depth + 1)


def _too_deep() -> MalformedRequest:
    return MalformedRequest(f"The request body is nested deeper than {MAX_DEPTH} levels.")
