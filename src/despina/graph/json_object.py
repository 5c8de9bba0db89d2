"""Reading a JSON file member by member, with errors that name the file, the place in it, the value and what would be right."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import msgspec

from despina.graph.faults import Fault, InputFault


def suggestion(word: str, words: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"`` with the most similar of the words, or nothing."""
    close = get_close_matches(word, list(words), n=1, cutoff=0.55)
    return f" (did you mean '{close[0]}'?)" if close else ""


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """An object in a JSON file, and where it stands. All methods raise InputFault for what is not as it should be."""

    file: str
    path: str
    """The place in the file, such as ``graph.nodes[0]``; empty at the top."""
    members: dict[str, Any]

    @classmethod
    def parse(cls, file: str, content: bytes) -> "JsonObject":
        """The object that a file consists of."""
        try:
            value = msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputFault(Fault.INVALID_CONFIGURATION, f"{file}: this is not JSON: {error}", file=file) from error
        if not isinstance(value, dict):
            raise InputFault(Fault.INVALID_CONFIGURATION, f"{file}: the file must hold a JSON object, it holds {_kind(value)}",
                             file=file)
        return cls(file=file, path="", members=value)

    def error(self, member: str, message: str, *, name: Fault = Fault.INVALID_CONFIGURATION) -> InputFault:
        """The error to be raised about a member; ``""`` is the object itself."""
        place = ".".join(part for part in (self.path, member) if part)
        return InputFault(name, f"{self.file}, {place}: {message}" if place else f"{self.file}: {message}", file=self.file)

    def allow(self, *names: str) -> None:
        """Refuse members other than these."""
        for name in self.members:
            if name not in names:
                raise self.error("", f"unknown key '{name}'{suggestion(name, names)}; known are {', '.join(names)}")

    def text(self, name: str, default: str | None = None) -> str:
        """A string; required when there is no default."""
        value = self.members.get(name, default)
        if not isinstance(value, str):
            raise self.error(name, f"must be a string, it is {_kind(value)}")
        return value

    def word(self, name: str, words: Iterable[str], default: str) -> str:
        """One of a few words."""
        value = self.text(name, default)
        return self.known(name, value, words)

    def known(self, name: str, value: str, words: Iterable[str]) -> str:
        """``value`` if it is one of the words."""
        words = list(words)
        if value not in words:
            raise self.error(name, f"'{value}' is not known{suggestion(value, words)}; it must be one of {', '.join(words)}")
        return value

    def character(self, name: str) -> str | None:
        """A single character, or None when the member is missing."""
        if name not in self.members:
            return None
        value = self.text(name)
        if len(value) != 1:
            raise self.error(name, f"must be a single character, it is '{value}'")
        return value

    def strings(self, name: str, meaning: tuple[str, ...]) -> list[str]:
        """A list of as many strings as have a meaning."""
        value = self.members.get(name)
        if not isinstance(value, list) or len(value) != len(meaning) or not all(isinstance(item, str) for item in value):
            raise self.error(name, f"must be a list of strings [{', '.join(meaning)}], it is {_shown(value)}")
        return value

    def object(self, name: str) -> "JsonObject":
        """A required object."""
        value = self.members.get(name)
        if not isinstance(value, dict):
            raise self.error(name, f"must be an object, it is {_kind(value)}")
        return self._below(name, value)

    def objects(self, name: str) -> list["JsonObject"]:
        """A list of objects; empty when the member is missing."""
        value = self.members.get(name, [])
        if not isinstance(value, list):
            raise self.error(name, f"must be a list of objects, it is {_kind(value)}")
        for i, item in enumerate(value):
            if not isinstance(item, dict):
                raise self.error(f"{name}[{i}]", f"must be an object, it is {_kind(item)}")
        return [self._below(f"{name}[{i}]", item) for i, item in enumerate(value)]

    def _below(self, name: str, members: dict[str, Any]) -> "JsonObject":
        return JsonObject(file=self.file, path=f"{self.path}.{name}" if self.path else name, members=members)


def _shown(value: Any) -> str:
    return _kind(value) if value is None else msgspec.json.encode(value).decode()[:200]


def _kind(value: Any) -> str:
    match value:
        case None:
            return "missing"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"
