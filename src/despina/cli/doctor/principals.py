"""Who may sign: the key of the secrets, and the principals."""

import argparse
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from despina import app
from despina.auth.secrets import FILE, VARIABLE, SecretsKeyError, load_box
from despina.cli.doctor.check import Check, error, ok, warning
from despina.core.errors import DespinaError
from despina.settings import Settings
from despina.store import open_key_store
from despina.store.facts import facts_of


def examine(settings: Settings, _options: argparse.Namespace) -> Iterator[Check]:
    """Nothing where signatures are not looked at."""
    if not settings.iam_auth:
        yield ok("signatures", "not demanded (--iam-auth)")
        return
    data = settings.data_dir.absolute()
    kept = _kept(settings, data)
    if kept is None:
        yield error("signatures", "the principals cannot be read, since the database cannot", "see what is said of it above.")
        return
    principals, keys = kept
    yield from _box(data, keys)
    configured = len(settings.principals)
    try:
        # Without their keys: sealing these would make the key of the secrets, if there is none yet.
        without = tuple(replace(principal, access_key_id="", secret_access_key="") for principal in settings.principals)
        app.configured_principals(replace(settings, principals=without), data)
    except DespinaError as refusal:
        yield error("principals", refusal, "correct [[principals]] in the configuration file.")
        return
    if not principals and not configured:
        yield warning("principals", "there are none: nobody may do anything",
                      "despina keys grant NAME --policy FILE, and despina keys create NAME.")
    else:
        yield ok("principals", f"{principals} in the database with {len(keys)} keys, {configured} in the configuration file")


Sealed = list[tuple[str, bytes]]


def _kept(settings: Settings, data: Path) -> tuple[int, Sealed] | None:
    """How many principals the database has, and the sealed secrets of their keys. It is not opened where that would change it."""
    url = settings.database_url or data / "despina.db"
    try:
        facts = facts_of(url)
        if facts.schema != facts.newest:
            return (0, []) if facts.schema == 0 else None
        with closing(open_key_store(url)) as store:
            return len(store.principals()), [(key.id, key.sealed) for key in store.keys()]  # noqa: SIM118 - no mapping
    except DespinaError:
        return None


def _box(data: Path, keys: Sealed) -> Iterator[Check]:
    name: Final = "secrets key"
    path = data / FILE
    if not os.environ.get(VARIABLE) and not path.exists():
        if keys:
            yield error(name, f"{path} is not there, and {len(keys)} access keys are sealed with it",
                        f"bring it back from a back-up, or set {VARIABLE}; without it new keys must be made (despina keys rotate).")
        else:
            yield ok(name, f"{path} is not there yet, and will be made")
        return
    try:
        box = load_box(data, os.environ)
        for key_id, sealed in keys:
            box.open(sealed, key_id)
    except SecretsKeyError as refusal:
        yield error(name, refusal, f"bring back the key that they were sealed with ({VARIABLE}, or {path}).")
        return
    source = VARIABLE if os.environ.get(VARIABLE) else str(path)
    if source != VARIABLE and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield warning(name, f"{path} can be read by others", f"chmod 600 {path}")
        return
    yield ok(name, f"{source}: it opens all {len(keys)} access keys")
