"""``despina doctor``: whether everything that a deployment needs is there, with the same settings as ``despina serve``.

::

    configuration.py  the file and the environment
    machine.py        data directory, disk, clock, limits
    database.py       SQLite or PostgreSQL
    artefacts.py      the S3 server, or the folder that stands in for it
    engines.py        this machine, or a Ray cluster: a program is run there
    network.py        address and port, certificate
    principals.py     keys and policies

Nothing is changed that stays: what a check writes it removes. What it tells of is there; nothing is assumed.
"""

import argparse
import json
from collections.abc import Callable, Iterator

import msgspec

from despina.cli import exits
from despina.cli.doctor import artefacts, configuration, database, engines, machine, network, principals
from despina.cli.doctor.check import Check, Name, error
from despina.core.errors import DespinaError
from despina.settings import Settings, SettingsError, load

Examination = Callable[[Settings, argparse.Namespace], Iterator[Check]]

EXAMINATIONS: tuple[tuple[Name, Examination], ...] = (
    ("settings", configuration.examine),
    ("data directory", machine.examine),
    ("database", database.examine),
    ("S3", artefacts.examine),
    ("engine", engines.examine),
    ("port", network.examine),
    ("principals", principals.examine),
)


def run(options: argparse.Namespace) -> int:
    """Print each check as it is made; the exit status: 0 if none is an error."""
    made = []
    for check in _checks(options):
        made.append(check)
        if not options.json:
            print(f"{check.status:<9}{check.name:<18}{check.found}", flush=True)
            if check.advice:
                print(f"{'':<27}→ {check.advice}", flush=True)
    errors, warnings = (sum(check.status == status for check in made) for status in ("error", "warning"))
    if options.json:
        print(json.dumps({"checks": [{name: value for name, value in msgspec.to_builtins(check).items() if value is not None}
                                     for check in made], "errors": errors, "warnings": warnings}))
    else:
        print(f"\n{len(made)} checks: {_count(errors, 'error')}, {_count(warnings, 'warning')}.")
    return exits.ERROR if errors else exits.DONE


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'s' * (number != 1)}"


def _checks(options: argparse.Namespace) -> Iterator[Check]:
    try:
        settings = load(vars(options))
    except SettingsError as refusal:
        yield error("settings", refusal, "correct that; nothing else can be looked at before. docs/operations.md has all settings.")
        return
    for name, examine in EXAMINATIONS:
        try:
            yield from examine(settings, options)
        except DespinaError as found:
            yield error(name, found, "see docs/operations.md.")
        except Exception as bug:  # noqa: BLE001 - one check that fails must not hide all others
            yield error(name, f"the check itself failed: {type(bug).__name__}: {bug}", "that is a bug of ours: please report it.")
