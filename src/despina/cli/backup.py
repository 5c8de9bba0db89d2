"""``despina backup``: a copy of a data directory whose server need not stop. The copy is a data directory itself."""

import argparse
import json
import shutil
from pathlib import Path

from despina import settings
from despina.core.errors import DespinaError
from despina.store import is_networked
from despina.store.backup import back_up

COPIED = ("audit", "tls")
"""The folders that are copied beside the database."""
SECRETS_KEY = "secrets.key"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where the copy goes: a folder that is empty or not there")
    parser.add_argument("--data-dir", metavar="DIR", help="what is copied (./despina-data)")
    parser.add_argument("--database-url", metavar="URL", help="where jobs are kept (a file in the data directory)")
    parser.add_argument("--config", metavar="FILE", help="a despina.toml")
    parser.add_argument("--with-secrets-key", action="store_true",
                        help="copy secrets.key, too: who has the copy then has the secrets of all access keys")
    parser.add_argument("--json", action="store_true", help="print what was copied where as JSON")
    parser.set_defaults(perform=run)


def run(options: argparse.Namespace) -> int:
    """Copy the database, the audit log and the certificates."""
    given = settings.load(vars(options))
    if is_networked(given.database_url):
        raise DespinaError("The jobs are kept in a PostgreSQL database: back it up with pg_dump, which gives a consistent copy "
                           "(docs/operations.md).")
    data, folder = given.data_dir.absolute(), options.folder.absolute()
    if folder.is_dir() and next(folder.iterdir(), None) is not None:
        raise DespinaError(f"The folder {folder} is not empty: a back-up goes into one of its own.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        for name in (name for name in COPIED if (data / name).is_dir()):
            shutil.copytree(data / name, folder / name)
        if options.with_secrets_key and (data / SECRETS_KEY).exists():
            shutil.copy2(data / SECRETS_KEY, folder / SECRETS_KEY)
    except (OSError, shutil.Error) as error:
        raise DespinaError(f"The data directory {data} cannot be copied to {folder}: {error}") from error
    back_up(Path(given.database_url) if given.database_url else data / "despina.db", folder / "despina.db")
    if options.json:
        print(json.dumps({"folder": str(folder), "dataDir": str(data), "artifacts": str(data / "s3")}))
        return 0
    print(f"{folder} has the database, the audit log and the certificates of {data}. Copy the artefacts after it: "
          f"rsync -a {data / 's3'}/ {folder / 's3'}/")
    return 0
