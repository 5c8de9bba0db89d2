"""The database: reached, of which version, whose clock, what may be done in it."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from despina.cli.doctor.check import Check, error, ok, warning
from despina.core.errors import DespinaError, NotOffered
from despina.settings import Settings
from despina.store.facts import StoreFacts, facts_of

SKEW_MS, LEASE_MS = 1_000, 5_000
"""Clocks should agree to the first; leases last as long as the second."""
CONNECTIONS = 11
"""That a process opens at most."""


def examine(settings: Settings, _options: argparse.Namespace) -> Iterator[Check]:
    """All of it."""
    name: Final = "database"
    url = settings.database_url
    if url == ":memory:":
        yield warning(name, "jobs are kept in memory, and lost with the process", "leave --database-url out, or name a database.")
        return
    if url and "://" not in url and not Path(url).absolute().parent.is_dir():
        yield error(name, f"there is no folder {Path(url).absolute().parent}", "make it, or correct --database-url.")
        return
    try:
        facts = facts_of(url or settings.data_dir.absolute() / "despina.db")
    except NotOffered as refusal:
        yield error(name, refusal, "correct --database-url, or install what it asks for.")
        return
    except DespinaError as refusal:
        yield error(name, refusal, _advice(str(refusal)))
        return
    yield _schema(facts)
    yield from judge(facts)


def _advice(refusal: str) -> str:
    """What to do, from the words of SQLite and of libpq."""
    cases = (
        (("password authentication", "no password", 'role "'), "correct user and password of --database-url."),
        (("does not exist",), "make the database (CREATE DATABASE), or correct --database-url."),
        (("another program", "newer version"), "name another database, or use the version that has written it."),
        (("refused", "timeout", "timed out", "could not translate", "no route", "resolve"),
         "see that PostgreSQL runs and listens there, and that no firewall is between; correct host and port of --database-url."),
        (("readonly", "read-only", "unable to open", "permission", "disk"),
         "let this user write the file and its folder, and make room on its disk."),
        (("locked",), "another program holds the file: end it."),
    )
    return next((advice for words, advice in cases if any(word in refusal.lower() for word in words)),
                "correct --database-url; docs/operations.md says what a database needs.")


def _schema(facts: StoreFacts) -> Check:
    text = f"{facts.name}: {facts.product}, "
    if facts.schema == 0:
        return ok("database", f"{text}empty: the first process makes the tables")
    text += f"schema {facts.schema} of {facts.newest}, a row was written and read"
    if facts.schema < facts.newest:
        return warning("database", f"{text}; it is of an older version",
                       "the first process of this version brings it up to date, and older ones cannot use it then: "
                       "docs/operations.md, 'Upgrade'.")
    return ok("database", text)


def judge(facts: StoreFacts) -> Iterator[Check]:
    """What is not as it should be."""
    if facts.is_old:
        yield error("database", f"{facts.product} is too old", "PostgreSQL 13 or newer is needed.")
    if facts.lacks:
        yield error("database rights", f"the user lacks {', '.join(facts.lacks)}",
                    "have the owner GRANT them, or ALTER TABLE … OWNER TO the user of --database-url.")
    if not facts.notifies:
        yield error("database", "a notification does not arrive (LISTEN, NOTIFY)",
                    "do not go through a pooler in transaction mode: name the server itself, or one in session mode.")
    if facts.free_connections is not None and facts.free_connections < CONNECTIONS:
        yield warning("database", f"{facts.free_connections} connections are free, and a process opens up to {CONNECTIONS}",
                      "raise max_connections of PostgreSQL.")
    skew = abs(facts.ahead_ms)
    if skew >= SKEW_MS:
        text = f"its clock is {skew / 1000:.1f} s {'ahead of' if facts.ahead_ms > 0 else 'behind'} ours"
        advice = "leases are held by clocks: have a time service keep both machines' (chrony, systemd-timesyncd)."
        yield (error if skew >= LEASE_MS else warning)("database clock", text, advice)
    elif facts.free_connections is not None:
        yield ok("database clock", f"it and ours agree ({skew:.0f} ms apart)")
