"""Patterns of policies: text with wildcards and variables, compiled once, matched in time linear in the text.

``*`` stands for any characters, ``?`` for exactly one. A variable ``${key}`` or ``${key, 'default'}`` stands for a value of the
request, taken literally; ``${*}``, ``${?}`` and ``${$}`` stand for the characters themselves.

Source: IAM user guide, "IAM policy elements: Variables and tags".
"""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from despina.auth.document import InvalidPolicy, shown
from despina.auth.vocabulary import MULTIVALUED, known_key

Context = Mapping[str, str | tuple[str, ...]]
"""What is known of a request: keys in lower case, each with a value or several."""


class Wild(Enum):
    """A wildcard."""

    ANY = "*"
    ONE = "?"


class Variable(NamedTuple):
    """A policy variable; ``key`` in lower case."""

    key: str
    default: str | None

    def value(self, context: Context) -> str | None:
        """Its value in a request: an empty value counts as none, and a key of several values has none that could stand here."""
        value = context.get(self.key)
        return value if value and isinstance(value, str) else self.default


Tokens = tuple[str | Wild | Variable, ...]
Resolved = tuple[str | Wild, ...]

_SPECIAL = re.compile(r"\$\{|[*?]")
_WILDCARD = re.compile(r"[*?]")
_VARIABLE = re.compile(r"\$\{(?:([*?$])|([^\s{}$'\",*?]+)(?:\s*,\s*'([^'{}]*)')?)\}")


def tokens(text: str, place: str, *, wildcards: bool, variables: bool) -> Tokens:
    """A pattern's text in pieces. Raises InvalidPolicy for a variable that cannot be understood.

    With ``variables`` off, as in policies of version 2008-10-17, ``${…}`` is text like any other.
    """
    special = _SPECIAL if variables else _WILDCARD
    pieces: list[str | Wild | Variable] = []
    start = 0
    while found := special.search(text, start):
        end = found.end()
        pieces.append(text[start:found.start()])
        if found.group() == "${":
            piece, end = _variable(text, found.start(), place)
            pieces.append(piece)
        else:
            pieces.append(Wild(found.group()) if wildcards else found.group())
        start = end
    pieces.append(text[start:])
    return _joined(pieces)


def _variable(text: str, start: int, place: str) -> tuple[str | Variable, int]:
    found = _VARIABLE.match(text, start)
    if not found:
        raise InvalidPolicy(f"{place}: {shown(text[start:])} does not begin with a policy variable, which is written ${{key}} or "
                            "${key, 'default'}; the characters *, ? and $ themselves are ${*}, ${?} and ${$}")
    character, key, default = found.groups()
    if character:
        return character, found.end()
    name = known_key(key, place)
    if name in MULTIVALUED:
        raise InvalidPolicy(f"{place}: {shown(key)} may have several values in a request, so it cannot be a policy variable")
    return Variable(name, default), found.end()


def _joined(pieces: Iterable[str | Wild | Variable]) -> Tokens:
    joined: list[str | Wild | Variable] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return tuple(joined)


def segments(pattern: Tokens) -> list[Tokens]:
    """The six or fewer parts of an ARN: what stands between its first five colons, and the rest."""
    parts: list[list[str | Wild | Variable]] = [[]]
    for token in pattern:
        if not isinstance(token, str):
            parts[-1].append(token)
            continue
        first, *others = token.split(":", 6 - len(parts))
        parts[-1].append(first)
        parts.extend([other] for other in others)
    return [_joined(part) for part in parts]


def glob(pattern: Tokens, character: str = ".") -> str:
    """The regular expression of a pattern without variables. Groups are atomic: the first place where a part between two ``*`` is
    found is as good as any later one, so nothing is ever tried twice."""
    parts = [""]
    for token in pattern:
        if token is Wild.ANY:
            parts.append("")
        elif token is Wild.ONE:
            parts[-1] += character
        else:
            parts[-1] += re.escape(str(token))
    if len(parts) == 1:
        return parts[0]
    middle = "".join(f"(?>{character}*?{part})" for part in parts[1:-1] if part)
    return f"{parts[0]}{middle}{character}*{parts[-1]}"


def arn_glob(pattern: Tokens) -> str:
    """The same for the ARN operators: each of the six parts of an ARN is matched on its own."""
    *head, last = segments(pattern)
    return ":".join([*(glob(part, "[^:]") for part in head), glob(last)])


def resource_glob(pattern: Tokens) -> str:
    """The same for Resource: a ``*`` at the end of a part also stands for colons, other wildcards do not."""
    *head, _ = segments(pattern)
    if any(Wild.ONE in part or Wild.ANY in part[:-1] for part in head):
        return arn_glob(pattern)
    return glob(pattern)


@lru_cache(maxsize=1024)
def _compiled(pattern: Resolved, regex: Callable[[Tokens], str]) -> Callable[[str], object]:
    """What matches a pattern whose variables have their values. It is remembered, since the requests of a principal repeat."""
    return re.compile(regex(pattern), re.DOTALL).fullmatch


class Patterns:
    """Several patterns, any of which may match.

    ``regex`` is one of the functions above. With ``ignore_case``, letters of both cases are the same.
    """

    __slots__ = ("_dynamic", "_ignore_case", "_literals", "_match", "_regex")

    def __init__(self, patterns: Iterable[Tokens], regex: Callable[[Tokens], str] = glob, *, ignore_case: bool = False) -> None:
        if ignore_case:
            patterns = [tuple(token.lower() if isinstance(token, str) else token for token in pattern) for pattern in patterns]
        static, dynamic, literals = [], [], []
        for pattern in patterns:
            if any(isinstance(token, Variable) for token in pattern):
                dynamic.append(pattern)
            elif any(isinstance(token, Wild) for token in pattern):
                static.append(pattern)
            else:
                literals.append("".join(str(token) for token in pattern))
        self._literals = frozenset(literals)
        self._match = re.compile("|".join(map(regex, static)), re.DOTALL).fullmatch if static else None
        self._dynamic = tuple(dynamic)
        self._regex = regex
        self._ignore_case = ignore_case

    def match(self, text: str, context: Context) -> bool:
        """Whether a pattern matches the whole text. A pattern with a variable that has no value matches nothing."""
        if self._ignore_case:
            text = text.lower()
        if text in self._literals or (self._match is not None and self._match(text) is not None):
            return True
        for pattern in self._dynamic:
            resolved = self._resolved(pattern, context)
            if resolved is not None and _compiled(resolved, self._regex)(text) is not None:
                return True
        return False

    @property
    def static(self) -> bool:
        """Whether no pattern has a variable, so that the context does not matter."""
        return not self._dynamic

    def unresolved(self, context: Context) -> bool:
        """Whether a variable of a pattern has no value."""
        return any(self._resolved(pattern, context) is None for pattern in self._dynamic)

    def _resolved(self, pattern: Tokens, context: Context) -> Resolved | None:
        resolved: list[str | Wild] = []
        for token in pattern:
            if not isinstance(token, Variable):
                resolved.append(token)
                continue
            value = token.value(context)
            if value is None:
                return None
            resolved.append(value.lower() if self._ignore_case else value)
        return tuple(resolved)
