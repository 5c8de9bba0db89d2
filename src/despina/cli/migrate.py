"""``despina migrate``: brings the database to this version, and moves what an SQLite file holds into PostgreSQL."""

import argparse
import json
from pathlib import Path

from despina.core.errors import DespinaError
from despina.settings import load
from despina.store import copy_into, open_stores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument("--from", dest="source", metavar="FILE", type=Path,
                        help="copy what this SQLite file holds into the database, which must be an empty one of PostgreSQL")
    parser.add_argument("--data-dir", metavar="DIR", help="where jobs and files are kept (./despina-data)")
    parser.add_argument("--database-url", metavar="URL", help="the database (a file in the data directory)")
    parser.add_argument("--config", metavar="FILE", help="a despina.toml")
    parser.add_argument("--json", action="store_true", help="print how many rows of which table were copied as JSON")
    parser.set_defaults(perform=_migrate)


def _migrate(options: argparse.Namespace) -> int:
    settings = load(vars(options))
    url = settings.database_url or settings.data_dir.absolute() / "despina.db"
    if options.source is None:
        open_stores(url).close()
        print(json.dumps({"copied": {}}) if options.json else "The database is up to date.")
        return 0
    if not options.source.is_file():
        raise DespinaError(f"There is no file {options.source}: --from must name the SQLite file of a server (despina.db).")
    copied = copy_into(url, options.source)
    print(json.dumps({"copied": copied}) if options.json
          else "\n".join(f"{count} {table.replace('_', ' ')}" for table, count in copied.items()))
    return 0
