"""``despina jobs start | list | show | logs | wait | cancel``, over the HTTP API."""

import argparse
import json
import os
import sys
import time
from typing import Any, get_type_hints

import msgspec

from despina.cli import tables
from despina.cli.client import ApiError, Client
from despina.core.errors import DespinaError
from despina.core.frozen import Frozen
from despina.core.requests import StartDataProcessing, StartModelTraining, StartModelTransform, members

KINDS: dict[str, type[Frozen]] = {
    "dataprocessing": StartDataProcessing, "modeltraining": StartModelTraining, "modeltransform": StartModelTransform}
DEFAULT_URL = "http://127.0.0.1:8182"
POLL_SECONDS = 0.5
ENDED = {"Completed": 0, "Failed": 1, "Stopped": 1}
"""The terminal statuses, and the exit status of ``wait`` for each."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the verbs to the ``jobs`` command."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--url", default=os.environ.get("DESPINA_URL") or DEFAULT_URL,
                        help=f"the server ({DEFAULT_URL}, or DESPINA_URL)")
    common.add_argument("--json", action="store_true", help="print the API's answer as JSON")
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("id", help="the job's id")
    one.add_argument("--kind", choices=KINDS, help="needed when jobs of several kinds have this id")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    start = verbs.add_parser("start", help="start a job")
    kinds = start.add_subparsers(title="kinds", required=True, metavar="KIND")
    for kind, request in KINDS.items():
        command = kinds.add_parser(kind, parents=[common], help=f"start a {kind} job")
        for field, member in members(request).items():
            command.add_argument(f"--{field.replace('_', '-')}", dest=member.wire, metavar="VALUE",
                                 required=field in request.__struct_fields__ and _is_required(request, field),
                                 help=f"{member.wire}, see docs/api.md")
        command.set_defaults(perform=_start, job_kind=kind)

    listing = verbs.add_parser("list", parents=[common], help="list jobs, newest first")
    listing.add_argument("--kind", choices=KINDS, help="only jobs of this kind")
    listing.add_argument("--max-items", default="10", metavar="N", help="at most so many of each kind (10)")
    listing.add_argument("--status", help="only jobs with this status")
    listing.add_argument("--name-contains", metavar="TEXT", help="only jobs with this in their id")
    listing.set_defaults(perform=_list)

    verbs.add_parser("show", parents=[common, one], help="show a job, its runs and their progress").set_defaults(perform=_show)
    logs = verbs.add_parser("logs", parents=[common, one], help="print the log of a job's run")
    logs.add_argument("--run", metavar="RUN", help="the id or name of the run (the one that started last)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    logs.set_defaults(perform=_logs)
    verbs.add_parser("wait", parents=[common, one], help="wait for a job's end and show its progress; exit status 0 if it completed"
                     ).set_defaults(perform=_wait)
    cancel = verbs.add_parser("cancel", parents=[common, one], help="cancel a job")
    cancel.add_argument("--clean", action="store_true", help="also delete what the job wrote")
    cancel.set_defaults(perform=_cancel)


def _is_required(request: type[Frozen], field: str) -> bool:
    return next(info for info in msgspec.structs.fields(request) if info.name == field).required


def _start(options: argparse.Namespace) -> int:
    request, body = KINDS[options.job_kind], {}
    hints = get_type_hints(request)
    for field, member in members(request).items():
        text = getattr(options, member.wire)
        if text is not None:
            body[member.wire] = _typed(member.wire, text, hints[field])
    answer = Client(options.url).call("POST", "ml", options.job_kind, body=body)
    print(json.dumps(answer) if options.json else answer["id"])
    return 0


def _typed(name: str, text: str, hint: Any) -> Any:
    """A flag's text as the JSON value its member wants."""
    if hint in {int, int | None}:
        try:
            return int(text)
        except ValueError:
            raise DespinaError(f"The value '{text}' of {name} is not a whole number.") from None
    if hint == tuple[str, ...]:
        return text.split(",")
    if hint in {str, str | None, bool}:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise DespinaError(f"The value of {name} is not a JSON object: {error}") from None


def _list(options: argparse.Namespace) -> int:
    client, rows = Client(options.url), []
    query = {"maxItems": options.max_items, "details": "true"}
    query |= {name: value for name, value in (("status", options.status), ("nameContains", options.name_contains)) if value}
    for kind in [options.kind] if options.kind else KINDS:
        rows += [{"kind": kind, **job} for job in client.call("GET", "ml", kind, query=query)["jobs"]]
    rows.sort(key=lambda row: row["details"]["createdAt"], reverse=True)
    if options.json:
        print(json.dumps(rows))
        return 0
    print(tables.table(
        ["KIND", "ID", "STATUS", "CREATED (UTC)", "TOOK", "WHAT"],
        [(row["kind"], row["id"], row["status"], tables.when(row["details"]["createdAt"]), tables.duration(_took(row)), _what(row))
         for row in rows]))
    return 0


def _took(job: dict[str, Any]) -> int | None:
    runs = job["details"]["runs"]
    begun = [run["startedAt"] for run in runs if run.get("startedAt")]
    ended = [run["finishedAt"] for run in runs if run.get("finishedAt")]
    return max(ended) - min(begun) if begun and ended and job["status"] in ENDED else None


def _what(job: dict[str, Any]) -> str:
    """The end of a job, or how far it is, in a few words."""
    if job["status"] == "Failed":
        return str(job["details"].get("failureReason") or "")[:80]
    if job["status"] not in ENDED:
        live = [run for run in job["details"]["runs"] if run["state"] in {"pending", "running"}]
        return "; ".join(tables.progress(run, _now()) for run in live)
    objectives = [run["objective"] for run in job["details"]["runs"] if run.get("objective") is not None]
    return f"{len(objectives)} trials, objectives {', '.join(f'{value:.4f}' for value in objectives)}" if objectives else ""


def _find(client: Client, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The job's kind and the answer that describes it."""
    found = {}
    for kind in [options.kind] if options.kind else KINDS:
        try:
            found[kind] = client.call("GET", "ml", kind, options.id, query={"details": "true"})
        except ApiError as error:
            if error.code != "MLResourceNotFoundException" or kind == options.kind:
                raise
    if not found:
        raise DespinaError(f"There is no job '{options.id}'.")
    if len(found) > 1:
        raise DespinaError(f"There are jobs of several kinds with the id '{options.id}': add --kind {' or --kind '.join(found)}.")
    return next(iter(found.items()))


def _show(options: argparse.Namespace) -> int:
    kind, job = _find(Client(options.url), options)
    if options.json:
        print(json.dumps(job))
        return 0
    details, processing = job["details"], job.get("processingJob", {})
    facts = [("id", job["id"]), ("kind", kind), ("status", job["status"]), ("created (UTC)", tables.when(details["createdAt"])),
             ("failure", details.get("failureReason")), ("output", processing.get("outputLocation"))]
    facts += [("model", model["name"]) for model in job.get("mlModels", [])]
    runs = sorted(details["runs"], key=lambda run: run.get("startedAt") or run["number"] + 2**60)
    tuned, fixed = _parameters(runs)
    facts += [("parameters", fixed), *(("note", note) for note in details["notes"])]
    facts += [("estimate", _estimate(run)) for run in runs]
    facts += [("warning", warning) for run in runs for warning in run.get("warnings", [])]
    width = max(len(name) for name, _ in facts)
    print("\n".join(f"{name.ljust(width)}  {value}" for name, value in facts if value))
    print()
    print(tables.table(
        ["RUN", "STATE", "TOOK", "PROGRESS", "OBJECTIVE", *tuned],
        [(run.get("name") or run["kind"], run["state"], tables.duration(_run_took(run)), _steps(run), run.get("objective"),
          *(str(run.get("parameters", {}).get(name, "-")) for name in tuned)) for run in runs]))
    return 0


def _parameters(runs: list[dict[str, Any]]) -> tuple[list[str], str]:
    """The names of the parameters in which the trials differ, and all the others with their values."""
    given = [run["parameters"] for run in runs if run.get("parameters")]
    names = list(given[0]) if given else []
    tuned = [name for name in names if any(parameters.get(name) != given[0][name] for parameters in given)]
    return tuned, " ".join(f"{name}={given[0][name]}" for name in names if name not in tuned)


def _estimate(run: dict[str, Any]) -> str | None:
    """What a run of data processing was expected to take, in a few words."""
    said = run.get("estimate") or run.get("progress", {}).get("estimate")
    if not said:
        return None
    text = (f"{said['nodes']:,} nodes, {said['edges']:,} edges, {said['peakMemoryBytes'] / 2**30:.1f} GiB of memory, "
            f"{tables.duration(said['processingMinutes'] * 60_000)}")
    training = said["trainingMinutes"]
    return text if training is None else f"{text}; training {tables.duration(training * 60_000)} a trial"


def _run_took(run: dict[str, Any]) -> int | None:
    return run["finishedAt"] - run["startedAt"] if run.get("startedAt") and run.get("finishedAt") else None


def _steps(run: dict[str, Any]) -> str | None:
    said = run.get("progress")
    return f"{said['unit']} {said['step']}/{said['of']}" if said else None


def _logs(options: argparse.Namespace) -> int:
    client = Client(options.url)
    kind, _ = _find(client, options)
    query = {"run": options.run} if options.run else {}
    token, run = "0", None
    while True:
        ended = client.call("GET", "ml", kind, options.id)["status"] in ENDED
        answer = client.call("GET", "ml", kind, options.id, "logs", query={**query, "nextToken": token})
        if run not in {None, answer["run"]}:
            # The next run of the job has started: its log begins anew.
            run, token = answer["run"], "0"
            continue
        run = answer["run"]
        for event in answer["events"]:
            print(json.dumps(event) if options.json else event["message"])
        sys.stdout.flush()
        moved, token = answer["nextForwardToken"] != token, answer["nextForwardToken"]
        if not moved and (ended or not options.follow):
            return 0
        if not moved:
            time.sleep(POLL_SECONDS)


def _wait(options: argparse.Namespace) -> int:
    client = Client(options.url)
    kind, job = _find(client, options)
    live = sys.stderr.isatty() and not options.json
    last = ""
    while job["status"] not in ENDED:
        line = f"{job['status']}: {_what(job) or 'between two runs'}"
        if live:
            print(f"\r\x1b[K{line[:_columns()]}", end="", file=sys.stderr, flush=True)
        elif line != last and not options.json:
            print(line, file=sys.stderr, flush=True)
        last = line
        time.sleep(POLL_SECONDS)
        job = client.call("GET", "ml", kind, options.id, query={"details": "true"})
    if live and last:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    reason = job["details"].get("failureReason")
    print(json.dumps(job) if options.json else f"{job['status']}{f': {reason}' if reason else ''}")
    return ENDED[job["status"]]


def _cancel(options: argparse.Namespace) -> int:
    client = Client(options.url)
    kind, _ = _find(client, options)
    answer = client.call("DELETE", "ml", kind, options.id, query={"clean": str(options.clean).lower()})
    print(json.dumps(answer) if options.json else answer["status"])
    return 0


def _columns() -> int:
    return os.get_terminal_size(sys.stderr.fileno()).columns - 1


def _now() -> int:
    return time.time_ns() // 1_000_000
