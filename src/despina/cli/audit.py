"""``despina audit``: the audit log of a data directory, as a table or as JSON lines."""

import argparse
from collections import deque

import msgspec

from despina.auth.audit import Entry, event_time, read
from despina.cli.parameters import moment
from despina.cli.tables import table
from despina.settings import load

COLUMNS = ("event_time", "principal", "event_name", "resource_id", "status", "error_code", "source_ip_address")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--data-dir", metavar="DIR", help="where it is kept (./despina-data)")
    parser.add_argument("--principal", metavar="TEXT", help="only calls of principals with this in their ARN")
    parser.add_argument("--operation", metavar="NAME", help="only calls of this operation, as in StartMLModelTrainingJob")
    parser.add_argument("--resource-id", metavar="ID", help="only calls about this job or endpoint")
    parser.add_argument("--refused", action="store_true", help="only calls that were refused")
    parser.add_argument("--since", metavar="TIME", type=moment, help="only calls from this time on, as in 2026-11-25T16:00:00Z")
    parser.add_argument("--last", metavar="N", type=int, help="only the last N of them")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.set_defaults(perform=run)


def run(options: argparse.Namespace) -> int:
    """Print the entries that are asked for, the oldest first."""
    since = "" if options.since is None else event_time(options.since)
    found = deque((entry for entry in read(load({"data_dir": options.data_dir}).data_dir / "audit")
                   if _is_wanted(entry, options, since)), maxlen=options.last)
    if options.json:
        for entry in found:
            print(msgspec.json.encode(entry).decode())
        return 0
    rows = [["" if (value := getattr(entry, name)) is None else str(value) for name in COLUMNS] for entry in found]
    if rows:
        print(table([Entry.__struct_encode_fields__[Entry.__struct_fields__.index(name)] for name in COLUMNS], rows))
    return 0


def _is_wanted(entry: Entry, options: argparse.Namespace, since: str) -> bool:
    return (entry.event_time >= since
            and (options.principal is None or options.principal in (entry.principal or ""))
            and (options.operation is None or options.operation == entry.event_name)
            and (options.resource_id is None or options.resource_id == entry.resource_id)
            and not (options.refused and entry.status != 403))
