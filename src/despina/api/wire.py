"""Requests into structs. Nothing here knows a single operation: ``core.requests.members`` says what stands where.

An empty string stands for an absent member, as does ``null``; members that are not known are ignored and named once in the log.
Values are read strictly: a number is not a string, and ``1.0`` is not a whole number.
"""

import logging
import re
from collections.abc import Callable
from functools import cache, lru_cache
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints
from urllib.parse import unquote_to_bytes

import msgspec

from despina.api.document import read_object, type_name
from despina.core.errors import MalformedRequest, MissingMember, OutOfRange, UnreadableParameter
from despina.core.frozen import Frozen
from despina.core.requests import Member, members

logger = logging.getLogger("despina.api")

MAX_NOTICES = 100
"""Unknown members named in the log for an operation."""

_WHOLE = re.compile(r"-?[0-9]+", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


class Field(NamedTuple):
    """A field of a request type: its name, how it stands on the wire, what it wants, and whether it must be there."""

    name: str
    member: Member
    wanted: Any
    """``str``, ``int``, ``bool``, ``tuple[str, ...]`` or another request type."""
    required: bool
    default: Any = msgspec.NODEFAULT


@cache
def fields(request: type[Frozen]) -> tuple[Field, ...]:
    """The fields of a request type that stand on the wire."""
    hints = get_type_hints(request)
    known = {info.name: info for info in msgspec.structs.fields(request)}
    return tuple(Field(name, member, _without_none(hints[name]), known[name].required, known[name].default)
                 for name, member in members(request).items())


def _without_none(hint: Any) -> Any:
    options = get_args(hint)
    return next(option for option in options if option is not NoneType) if NoneType in options else hint


class Reader:
    """Reads the requests of one operation.

    Args:
        operation: Its name, for the log.
        request: Its request type.
    """

    def __init__(self, operation: str, request: type[Frozen]) -> None:
        self._operation = operation
        self._request = request
        self._path = next((field for field in fields(request) if field.member.where == "path"), None)
        self._query = {field.member.wire.encode(): field for field in fields(request) if field.member.where == "query"}
        self._noticed: set[str] = set()
        # Clients that poll send the same query again and again: reading it would be half of the edge's time for a list.
        self._query_values = lru_cache(maxsize=128)(self._read_query)

    def read(self, *, raw_id: bytes, query: bytes, body: bytes) -> Frozen:
        """The request as a struct.

        Args:
            raw_id: The path's id, as it stands on the wire.
            query: The query string.
            body: The body, JSON.

        Raises:
            RequestError: what is wrong, naming the member.
        """
        if not self._query:
            return self._read_object(self._request, read_object(body), "")
        values = self._query_values(query) if query else {}
        if self._path is not None:
            # What is no UTF-8 becomes a character that no id has, so that the rule refuses it.
            text = unquote_to_bytes(raw_id).decode("utf-8", "replace")
            values = {**values, self._path.name: self._checked(self._path, self._path.member.wire, text)}
        return self._request(**values)

    def _read_query(self, query: bytes) -> dict[str, Any]:
        values: dict[str, Any] = {}
        seen = set()
        for item in query.split(b"&"):
            raw_name, _, raw_value = item.partition(b"=")
            field = self._query.get(raw_name) or self._query.get(unquote_to_bytes(raw_name))
            if field is None:
                if item:
                    self._notice(unquote_to_bytes(raw_name).decode("utf-8", "replace"))
                continue
            wire = field.member.wire
            if wire in seen:
                raise UnreadableParameter(f"The parameter '{wire}' stands more than once in the query.")
            seen.add(wire)
            text = _decoded(wire, raw_value)
            if text:
                values[field.name] = self._checked(field, wire, _from_text(field, text))
        return values

    def _read_object(self, request: type[Frozen], document: dict[str, Any], place: str) -> Frozen:
        """One object of a body; ``place`` is where it stands, with a dot at the end."""
        values = {}
        known = fields(request)
        for field in known:
            where = f"{place}{field.member.wire}"
            value = self._from_json(field.wanted, where, document.get(field.member.wire))
            if value is not None:
                values[field.name] = self._checked(field, where, value)
            elif field.required:
                raise MissingMember(f"The required member '{where}' is missing or empty.")
        for name in document.keys() - {field.member.wire for field in known}:
            self._notice(f"{place}{name}")
        return request(**values)

    def _from_json(self, wanted: Any, where: str, value: Any) -> Any:
        """A member's value, or None if it is absent."""
        if value is None or value == "":
            return None
        if isinstance(wanted, type) and issubclass(wanted, Frozen):
            if not isinstance(value, dict):
                raise _wrong_type(where, "an object", value)
            return self._read_object(wanted, value, f"{where}.")
        return _JSON_READERS[wanted](where, value)

    def _checked(self, field: Field, where: str, value: Any) -> Any:
        if field.member.rule is not None:
            field.member.rule(where, value)
        if field.wanted is int and not -(2**63) <= value < 2**63:
            raise OutOfRange(f"The value {value} of '{where}' is out of range: it must fit into 64 bits.")
        return value

    def _notice(self, name: str) -> None:
        shown = name[:100]
        if shown not in self._noticed and len(self._noticed) < MAX_NOTICES:
            self._noticed.add(shown)
            logger.warning("%s: the unknown member %r is ignored", self._operation, shown)


def _decoded(name: str, raw: bytes) -> str:
    """A query's text: percent-encoded UTF-8, with ``+`` for a space."""
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8") if b"%" in raw or b"+" in raw else raw.decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableParameter(f"The value of '{name}' cannot be read: it is not UTF-8.") from None


def _from_text(field: Field, text: str) -> Any:
    """The value of a query parameter."""
    wire = field.member.wire
    if field.wanted is int:
        if not _WHOLE.fullmatch(text):
            raise UnreadableParameter(f"The value '{text[:100]}' of '{wire}' cannot be read: it must be a whole number.")
        if len(text) > 100:
            raise OutOfRange(f"The value {text[:20]}… ({len(text)} digits) of '{wire}' is out of range: it must fit into 64 bits.")
        return int(text)
    if field.wanted is bool:
        if text.lower() not in _BOOLEANS:
            raise UnreadableParameter(f"The value '{text[:100]}' of '{wire}' cannot be read: it must be true or false.")
        return _BOOLEANS[text.lower()]
    return text


def _wrong_type(where: str, wanted: str, value: Any) -> MalformedRequest:
    shown = f" ({str(value)[:100]})" if isinstance(value, str | int | float) else ""
    return MalformedRequest(f"The member '{where}' must be {wanted}, not {type_name(value)}{shown}.")


def _string(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(where, "a string", value)
    return value


def _whole(where: str, value: Any) -> int:
    if type(value) is not int:
        raise _wrong_type(where, "a whole number", value)
    return value


def _boolean(where: str, value: Any) -> bool:
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    if not isinstance(value, bool):
        raise _wrong_type(where, "a boolean", value)
    return value


def _strings(where: str, value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        raise _wrong_type(where, "a list of strings", value)
    return tuple(item for item in (_string(f"{where}[{i}]", item) for i, item in enumerate(value)) if item)


_JSON_READERS: dict[Any, Callable[[str, Any], Any]] = {str: _string, int: _whole, bool: _boolean, tuple[str, ...]: _strings}
