"""Endpoints, and what they answer, as tables for people."""

import json
from typing import Any

from despina.cli import tables

Endpoint = dict[str, Any]


def listing(endpoints: list[Endpoint]) -> str:
    """Endpoints as a table."""
    return tables.table(
        ["ID", "STATUS", "CREATED (UTC)", "REPLICAS", "MODEL", "JOB"],
        [(endpoint["id"], endpoint["status"], tables.when(endpoint["details"]["createdAt"]), _replicas(endpoint),
          *_served(endpoint)) for endpoint in endpoints])


def page(endpoint: Endpoint) -> str:
    """One endpoint: what is to be said of it, and a table of its replicas."""
    details, upcoming = endpoint["details"], endpoint["details"].get("upcoming")
    shown = details.get("serving") or upcoming or {}
    facts = [("id", endpoint["id"]), ("name", endpoint["endpoint"]["name"]), ("status", endpoint["status"]),
             ("created (UTC)", tables.when(details["createdAt"])), ("created by", details.get("startedBy")),
             ("failure", details.get("failureReason")), ("model", _served(endpoint)[0]), ("job", _served(endpoint)[1]),
             ("version", shown.get("version")), ("artefacts", shown.get("artifacts"))]
    if upcoming and details.get("serving"):
        facts.append(("upcoming", f"version {upcoming['version']}, of {upcoming['jobKind']} {upcoming['jobId']}"))
    facts += [("note", note) for note in shown.get("notes", [])]
    return tables.facts(facts) + "\n\n" + tables.table(
        ["RUN", "VERSION", "STATE", "STARTED (UTC)", "FAILURE"],
        [(replica.get("run"), replica["version"], replica["state"],
          tables.when(replica["startedAt"]) if replica.get("startedAt") else None,
          replica.get("failureReason") or replica.get("runBefore")) for replica in details["replicas"]])


def predictions(answer: dict[str, Any]) -> str:
    """An answer as a table: a line for each prediction, or what was wrong with its item."""
    items = next(iter(answer.get("output", {}).values()), None)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return json.dumps(answer, indent=2)  # of a model of a user's own
    rows = [(_item(item), prediction) for item in items for prediction in item.get("predictions", [])]
    names = list(dict.fromkeys(name for _, prediction in rows for name in prediction))
    lines = [(name, *(prediction.get(column) for column in names)) for name, prediction in rows]
    text = tables.table(["ITEM", *(name.upper() for name in names)], [tuple(map(_plain, line)) for line in lines]) if lines else ""
    errors = [f"{_item(item)}: {item['error']['code']}: {item['error']['message']}" for item in items if "error" in item]
    return "\n".join([*([text] if text else []), *errors])


def _item(item: dict[str, Any]) -> str:
    ids = [str(item[name]) for name in ("nodeId", "headNodeId", "tailNodeId") if name in item]
    return " → ".join(ids) or "-"


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float) else json.dumps(value)


def _replicas(endpoint: Endpoint) -> str:
    details = endpoint["details"]
    if details.get("asleep"):
        return "asleep"
    replicas = details["replicas"]
    return f"{sum(replica['state'] == 'ready' for replica in replicas)}/{len(replicas)}"


def _served(endpoint: Endpoint) -> tuple[str | None, str | None]:
    shown = endpoint["details"].get("serving") or endpoint["details"].get("upcoming")
    return (shown["model"], f"{shown['jobKind']} {shown['jobId']}") if shown else (None, None)
