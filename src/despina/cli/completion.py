"""``despina completion bash | zsh | fish``: the script by which a shell completes commands, verbs, options and file names."""

import argparse
from collections.abc import Callable, Iterator

from despina.cli import exits
from despina.cli.parsing import Parser

SHELLS = ("bash", "zsh", "fish")
_FILES, _FOLDERS = {"FILE"}, {"DIR", "FOLDER", "EXPORT"}
"""What an option's value is called in the help, where it is a path."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def run(options: argparse.Namespace, parser: Callable[[], Parser]) -> int:
    """Print the script for the commands of a parser."""
    import shtab

    whole = parser()
    for action in _actions(whole):
        if action.metavar in _FILES | _FOLDERS:
            action.complete = shtab.FILE if action.metavar in _FILES else shtab.DIRECTORY  # type: ignore[attr-defined]
    print(shtab.complete(whole, shell=options.shell))
    return exits.DONE


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for said in action._choices_actions:
                action.choices[said.dest].description = said.help  # shells show a few words
            for inner in action.choices.values():
                yield from _actions(inner)
