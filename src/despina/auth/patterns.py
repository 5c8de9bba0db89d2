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


class _Template:
    """A pattern with variables."""

    __slots__ = ("_ignore_case", "_pattern", "_regex", "_variables")

    def __init__(self, pattern: Tokens, regex: Callable[[Tokens], str], *, ignore_case: bool) -> None:
        self._pattern = pattern
        self._regex = regex
        self._ignore_case = ignore_case
        self._variables = tuple(token for token in pattern if isinstance(token, Variable))

    def values(self, context: Context) -> tuple[str, ...] | None:
        """The variables' values in a request; None if one has no value."""
        values = []
        for variable in self._variables:
            value = variable.value(context)
            if value is None:
                return None
            values.append(value)
        return tuple(values)

    def compiled(self, values: tuple[str, ...]) -> tuple[str, Callable[[str], object]]:
        """The text that a match begins with, and what matches the whole of it, with these values in place of the variables."""
        rest = iter(value.lower() if self._ignore_case else value for value in values)
        pattern = _joined(next(rest) if isinstance(token, Variable) else token for token in self._pattern)
        prefix = pattern[0] if pattern and isinstance(pattern[0], str) else ""
        return prefix, re.compile(self._regex(pattern), re.DOTALL).fullmatch


_compiled = lru_cache(maxsize=1024)(_Template.compiled)
"""It is remembered, since the requests of one principal are alike."""


class Patterns:
    """Several patterns, any of which may match.

    ``regex`` is one of the functions above. With ``ignore_case``, letters of both cases are the same.
    """

    __slots__ = ("_ignore_case", "_literals", "_match", "_templates", "static")

    def __init__(self, patterns: Iterable[Tokens], regex: Callable[[Tokens], str] = glob, *, ignore_case: bool = False) -> None:
        if ignore_case:
            patterns = [tuple(token.lower() if isinstance(token, str) else token for token in pattern) for pattern in patterns]
        wild, templates, literals = [], [], []
        for pattern in patterns:
            if any(isinstance(token, Variable) for token in pattern):
                templates.append(_Template(pattern, regex, ignore_case=ignore_case))
            elif any(isinstance(token, Wild) for token in pattern):
                wild.append(regex(pattern))
            else:
                literals.append("".join(str(token) for token in pattern))
        self._literals = frozenset(literals)
        self._match = re.compile("|".join(wild), re.DOTALL).fullmatch if wild else None
        self._templates = tuple(templates)
        self._ignore_case = ignore_case
        self.static = not templates
        """Whether no pattern has a variable, so that the context does not matter."""

    def match(self, text: str, context: Context) -> bool:
        """Whether a pattern matches the whole text. A pattern with a variable that has no value matches nothing."""
        if self._ignore_case:
            text = text.lower()
        if text in self._literals or (self._match is not None and self._match(text) is not None):
            return True
        for template in self._templates:
            values = template.values(context)
            if values is None:
                continue
            prefix, fullmatch = _compiled(template, values)
            if text.startswith(prefix) and fullmatch(text) is not None:
                return True
        return False

    def unresolved(self, context: Context) -> bool:
        """Whether a variable of a pattern has no value."""
        return any(template.values(context) is None for template in self._templates)
