"""The parser of the command line: one form of help for all commands, and errors that say what would be right."""

import argparse
import textwrap
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias

from despina.core.errors import DespinaError

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
WIDTH = 100
"""Columns of a description at most."""


class UsageError(DespinaError):
    """The command line itself is wrong: exit status 2."""


class Parser(argparse.ArgumentParser):
    """A parser whose options cannot be abbreviated, since scripts outlive the day on which an abbreviation is unambiguous."""

    def __init__(self, *, description: str | None = None, epilog: str | None = None, **rest: Any) -> None:
        super().__init__(**{
            **rest, "allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter, "epilog": epilog,
            "description": textwrap.fill(description, WIDTH) if description else None})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See ``argparse``. The innermost parser refuses what it does not know, since it knows what was meant."""
        known, left = super().parse_known_args(args, namespace)
        unknown = [word for word in left if word.startswith("-")]
        if unknown:
            self.error("; ".join(f"there is no option '{word}' here{meant(word.partition('=')[0], self._option_string_actions)}"
                                 for word in unknown))
        if left:
            self.error(f"there is no place for '{' '.join(left)}' here")
        return known, left

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            hint = meant(str(value), choices) or f": choose from {', '.join(choices)}"
            raise argparse.ArgumentError(action, f"there is no '{value}'{hint}")

    def error(self, message: str) -> NoReturn:
        """End with exit status 2 and what is wrong, in one line: the usage of a verb with thirty options would hide it."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def meant(word: str, known: Iterable[str]) -> str:
    """The end of an error about a word that is not known: what is much like it, if anything is."""
    close = get_close_matches(word, list(known), n=1)
    return f": did you mean '{close[0]}'?" if close else ""


def add_verbs(parser: argparse.ArgumentParser, title: str = "verbs", metavar: str = "VERB") -> Commands:
    """Give a command verbs of its own, of which one must be named."""
    verbs: Commands = parser.add_subparsers(title=title, required=True, metavar=metavar)  # type: ignore[assignment]
    return verbs


def add_verb(verbs: Commands, name: str, said: str, *, example: str, description: str = "",
             parents: Sequence[Any] = ()) -> "Parser":
    """Add a verb.

    Args:
        verbs: Of which command.
        name: The verb.
        said: What it does, for the list of verbs: a few words without a capital and a full stop.
        example: A line or more of a shell, which its help shows.
        description: The same at length, for its own help.
        parents: Parsers whose options it has, too.
    """
    said_alone = f"{said[0].upper()}{said[1:]}."
    return verbs.add_parser(name, help=said, description=description or said_alone, parents=list(parents),
                            epilog="example:\n" + textwrap.indent(example, "  "))
