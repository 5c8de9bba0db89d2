"""``despina keys …``: principals and their access keys, in the data directory itself. A running server needs no restart."""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec

from despina.auth.issuing import Issued, issue
from despina.auth.policy import Policy
from despina.auth.secrets import load_box
from despina.cli.parsing import add_verb, add_verbs
from despina.cli.tables import table
from despina.core.errors import DespinaError
from despina.core.ports import KeyStore
from despina.core.principal import Principal
from despina.settings import load
from despina.store import open_key_store


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = add_verbs(parser)

    grant = add_verb(verbs, "grant", "add a principal, or replace its policies",
                     example="despina keys grant alice --policy readers.json")
    grant.add_argument("principal", metavar="NAME", help="the principal")
    grant.add_argument("--arn", help="its ARN (a user of the cluster's account)")
    grant.add_argument("--policy", metavar="FILE", action="append", type=Path, required=True, help="an IAM policy; may be repeated")
    grant.add_argument("--boundary", metavar="FILE", type=Path, help="a permissions boundary")
    grant.set_defaults(perform=_grant)

    revoke = add_verb(verbs, "revoke", "delete a principal and all its keys", example="despina keys revoke alice")
    revoke.add_argument("principal", metavar="NAME", help="the principal")
    revoke.set_defaults(perform=_revoke)

    create = add_verb(verbs, "create", "make an access key; its secret is told once", example="despina keys create alice")
    create.add_argument("principal", metavar="NAME", help="the principal")
    create.add_argument("--seconds", metavar="N", type=int, help="make temporary credentials, which hold so long")
    create.set_defaults(perform=_create)

    rotate = add_verb(verbs, "rotate", "make another key for the principal of a key, and disable that one",
                      example="despina keys rotate AKIAIOSFODNN7EXAMPLE")
    rotate.add_argument("key", metavar="KEY", help="the access key's id")
    rotate.set_defaults(perform=_rotate)
    for name, said, perform in (("disable", "disable a key", _disable), ("enable", "enable a key again", _enable),
                                ("delete", "delete a key", _delete)):
        verb = add_verb(verbs, name, said, example=f"despina keys {name} AKIAIOSFODNN7EXAMPLE")
        verb.add_argument("key", metavar="KEY", help="the access key's id")
        verb.set_defaults(perform=perform)

    listed = add_verb(verbs, "list", "principals and keys, without their secrets", example="despina keys list")
    listed.set_defaults(perform=_list)
    for verb in verbs.choices.values():
        verb.add_argument("--data-dir", metavar="DIR", help="where they are kept (./despina-data)")
        verb.add_argument("--json", action="store_true", help="print JSON")


class _Place:
    """The store and the box of a data directory."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.settings = load({"data_dir": options.data_dir})
        self.data = self.settings.data_dir.absolute()
        self.data.mkdir(parents=True, exist_ok=True)
        self.store: KeyStore = open_key_store(self.settings.database_url or self.data / "despina.db")

    def issue(self, principal: str, seconds: int | None = None) -> Issued:
        issued = issue(principal, load_box(self.data, os.environ), now=time.time_ns() // 1_000_000, seconds=seconds)
        self.store.add_key(issued.key)
        return issued


def _grant(options: argparse.Namespace) -> int:
    place = _Place(options)
    documents = [_read(path, options.principal) for path in options.policy]
    boundary = _read(options.boundary, options.principal) if options.boundary else None
    arn = options.arn or f"arn:aws:iam::{place.settings.account_id}:user/{options.principal}"
    place.store.put_principal(Principal(name=options.principal, arn=arn, policies=tuple(documents), boundary=boundary))
    _say(options, {"name": options.principal, "arn": arn}, f"{options.principal} is {arn}")
    return 0


def _read(path: Path, principal: str) -> str:
    """A policy document, which is understood."""
    try:
        document = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DespinaError(f"The policy {path} cannot be read: {error}.") from None
    Policy.parse(document, name=f"{path.name} for {principal}")
    return document


def _revoke(options: argparse.Namespace) -> int:
    if not _Place(options).store.delete_principal(options.principal):
        raise DespinaError(f"There is no principal '{options.principal}'.")
    _say(options, {"name": options.principal, "deleted": True})
    return 0


def _create(options: argparse.Namespace) -> int:
    _tell(_Place(options).issue(options.principal, options.seconds), as_json=options.json)
    return 0


def _rotate(options: argparse.Namespace) -> int:
    place = _Place(options)
    old = next((key for key in place.store.keys() if key.id == options.key), None)  # noqa: SIM118 - no mapping
    if old is None:
        raise _unknown(options.key)
    issued = place.issue(old.principal)
    place.store.set_disabled(old.id, disabled=True)
    _tell(issued, as_json=options.json)
    return 0


def _disable(options: argparse.Namespace) -> int:
    return _done(options, done=_Place(options).store.set_disabled(options.key, disabled=True), told={"disabled": True})


def _enable(options: argparse.Namespace) -> int:
    return _done(options, done=_Place(options).store.set_disabled(options.key, disabled=False), told={"disabled": False})


def _delete(options: argparse.Namespace) -> int:
    return _done(options, done=_Place(options).store.delete_key(options.key), told={"deleted": True})


def _done(options: argparse.Namespace, *, done: bool, told: dict[str, Any]) -> int:
    if not done:
        raise _unknown(options.key)
    _say(options, {"id": options.key, **told})
    return 0


def _say(options: argparse.Namespace, told: dict[str, Any], text: str = "") -> None:
    """Tell what was done, if there is anything to be told to people."""
    if options.json:
        print(json.dumps(told))
    elif text:
        print(text)


def _unknown(key_id: str) -> DespinaError:
    return DespinaError(f"There is no access key '{key_id}'.")


def _list(options: argparse.Namespace) -> int:
    store = _Place(options).store
    keys = [{"id": key.id, "principal": key.principal, "disabled": key.disabled, "createdAt": key.created_at,
             "expiresAt": key.expires_at} for key in store.keys()]  # noqa: SIM118 - no mapping
    principals = [{"name": principal.name, "arn": principal.arn, "policies": len(principal.policies),
                   "boundary": principal.boundary is not None} for principal in store.principals()]
    if options.json:
        print(msgspec.json.encode({"principals": principals, "keys": keys}).decode())
        return 0
    for rows in (principals, keys):
        if rows:
            print(table(list(rows[0]), [[str(value) for value in row.values()] for row in rows]))
    return 0


def _tell(issued: Issued, *, as_json: bool) -> None:
    told = {"AWS_ACCESS_KEY_ID": issued.key.id, "AWS_SECRET_ACCESS_KEY": issued.secret,
            **({"AWS_SESSION_TOKEN": issued.token} if issued.token else {})}
    print(msgspec.json.encode(told).decode() if as_json else "\n".join(f"export {name}={value}" for name, value in told.items()))
