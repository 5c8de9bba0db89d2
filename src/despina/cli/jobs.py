"""``despina jobs start | list | show | logs | wait | cancel``, over the HTTP API."""

import argparse
import json
import time
from functools import partial
from typing import Any

from despina.cli import exits, job_tables, logs, progress
from despina.cli.client import NOT_FOUND, ApiError, Client, role_option, server_options
from despina.cli.parameters import add_file_option, add_options, query_of, request_of
from despina.cli.parsing import Commands, UsageError, add_verb, add_verbs
from despina.cli.waiting import Look, Waiting
from despina.core.errors import DespinaError
from despina.core.frozen import Frozen
from despina.core.requests import ListJobs, StartDataProcessing, StartModelTraining, StartModelTransform

KINDS: dict[str, type[Frozen]] = {
    "dataprocessing": StartDataProcessing, "modeltraining": StartModelTraining, "modeltransform": StartModelTransform}
_STARTS = {
    "dataprocessing": "despina jobs start dataprocessing --id airports --input-data-s3-location file:///data/airports \\\n"
                      "    --processed-data-s3-location s3://my-bucket/processed",
    "modeltraining": "despina jobs start modeltraining --id airports-1 --data-processing-job-id airports \\\n"
                     "    --train-model-s3-location s3://my-bucket/models --max-hpo-number-of-training-jobs 10",
    "modeltransform": "despina jobs start modeltransform --id week-2 --data-processing-job-id week-2 \\\n"
                      "    --ml-model-training-job-id airports-1 --model-transform-output-s3-location s3://my-bucket/transformed",
}
EXITS = {"Completed": exits.DONE, "Failed": exits.FAILED, "Stopped": exits.STOPPED}
"""The exit status of ``wait`` for each end."""
NOT_LISTED = ("details", "neptune_iam_role_arn")
"""Parameters of a list that are not its own options: the tables need the first, all verbs have the second."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the verbs to the ``jobs`` command."""
    server = server_options()
    common = argparse.ArgumentParser(add_help=False, parents=[server])
    role_option(common)
    verbs = add_verbs(parser)

    start = add_verb(verbs, "start", "start a job", example=_STARTS["dataprocessing"])
    _add_starts(add_verbs(start, "kinds", "KIND"), server)

    listing = add_verb(verbs, "list", "list jobs, newest first", parents=[common],
                       example="despina jobs list --status Failed --created-after 2026-11-25")
    listing.add_argument("--kind", choices=KINDS, help="only jobs of this kind")
    add_options(listing, ListJobs, without=NOT_LISTED)
    listing.set_defaults(perform=_list)

    _add_verbs_of_one(verbs, common)


def _add_starts(kinds: Commands, server: argparse.ArgumentParser) -> None:
    for kind, request in KINDS.items():
        command = add_verb(kinds, kind, f"start a {kind} job", parents=[server], example=_STARTS[kind])
        add_options(command, request)
        add_file_option(command)
        command.set_defaults(perform=_start, job_kind=kind)


def _add_verbs_of_one(verbs: Commands, common: argparse.ArgumentParser) -> None:
    kind = argparse.ArgumentParser(add_help=False)
    kind.add_argument("--kind", choices=KINDS, help="needed when jobs of several kinds have this id")
    one = argparse.ArgumentParser(add_help=False, parents=[kind])
    one.add_argument("id", metavar="ID", help="the job's id")

    show = add_verb(verbs, "show", "show a job, its runs and their progress", parents=[common, one],
                    example="despina jobs show airports-1")
    show.set_defaults(perform=_show)

    log = add_verb(verbs, "logs", "print the log of a job's run", parents=[common, one], example="despina jobs logs -f airports-1")
    log.add_argument("--run", metavar="RUN", help="the id or name of the run (the one that started last)")
    log.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    log.set_defaults(perform=_logs)

    wait = add_verb(verbs, "wait", "wait for the end of jobs and show their progress", parents=[common, kind],
                    example="despina jobs wait airports-1 airports-2 --timeout 3600",
                    description="Wait for the end of jobs and show their progress. The exit status is 0 if all have completed, 3 "
                                "if one has failed, 4 if one was stopped, 124 if the time was over first.")
    wait.add_argument("ids", metavar="ID", nargs="+", help="the jobs' ids")
    wait.add_argument("--timeout", metavar="SECONDS", type=float, help="wait no longer than this; the jobs go on")
    wait.set_defaults(perform=_wait)

    cancel = add_verb(verbs, "cancel", "cancel a job", parents=[common, one], example="despina jobs cancel airports-1 --clean")
    cancel.add_argument("--clean", action="store_true", help="also delete what the job wrote")
    cancel.set_defaults(perform=_cancel)


def _start(options: argparse.Namespace) -> int:
    body = request_of(options, KINDS[options.job_kind])
    answer = Client.of(options).call("POST", "ml", options.job_kind, body=body)
    print(json.dumps(answer) if options.json else answer["id"])
    return exits.DONE


def _list(options: argparse.Namespace) -> int:
    if options.nextToken and not options.kind:
        raise UsageError("--next-token goes on in the list of one kind: give --kind, too.")
    client, jobs, token = Client.of(options), list[dict[str, Any]](), None
    query = {**query_of(options, ListJobs, without=NOT_LISTED), "details": "true"}
    for kind in [options.kind] if options.kind else KINDS:
        answer = client.call("GET", "ml", kind, query=query)
        jobs += [{"kind": kind, **job} for job in answer["jobs"]]
        token = answer.get("nextToken") if options.kind else None
    jobs.sort(key=lambda job: job["details"]["createdAt"], reverse=True)
    if options.json:
        print(json.dumps({"jobs": jobs, **({"nextToken": token} if token else {})}))
        return exits.DONE
    print(job_tables.listing(jobs, _now()))
    if token:
        print(f"There are more: --next-token {token}")
    return exits.DONE


def _find(client: Client, job_id: str, wanted: str | None) -> tuple[str, dict[str, Any]]:
    """The job's kind and the answer that describes it."""
    found = {}
    for kind in [wanted] if wanted else KINDS:
        try:
            found[kind] = client.call("GET", "ml", kind, job_id, query={"details": "true"})
        except ApiError as error:
            if error.code != NOT_FOUND or wanted:
                raise
    if not found:
        raise DespinaError(f"There is no job '{job_id}'.")
    if len(found) > 1:
        raise DespinaError(f"There are jobs of several kinds with the id '{job_id}': add --kind {' or --kind '.join(found)}.")
    return next(iter(found.items()))


def _show(options: argparse.Namespace) -> int:
    kind, job = _find(Client.of(options), options.id, options.kind)
    print(json.dumps(job) if options.json else job_tables.page(kind, job))
    return exits.DONE


def _logs(options: argparse.Namespace) -> int:
    client = Client.of(options)
    kind, _ = _find(client, options.id, options.kind)
    query = {"run": options.run} if options.run else {}
    return logs.show(
        lambda token: dict(client.call("GET", "ml", kind, options.id, "logs", query={**query, "nextToken": token})),
        over=lambda: client.call("GET", "ml", kind, options.id)["status"] in progress.ENDED,
        follow=options.follow, as_json=options.json)


def _wait(options: argparse.Namespace) -> int:
    client = Client.of(options)
    kinds = {job_id: _find(client, job_id, options.kind)[0] for job_id in options.ids}
    look = partial(_look, client, kinds, as_json=options.json)
    return Waiting(look, timeout=options.timeout, quiet=options.json).run(list(kinds))


def _look(client: Client, kinds: dict[str, str], job_id: str, columns: int, *, as_json: bool) -> Look:
    kind, alone = kinds[job_id], len(kinds) == 1
    job = client.call("GET", "ml", kind, job_id, query={"details": "true"})
    told = progress.ended(job)
    end = json.dumps(job) if as_json else told.removeprefix(f"{job_id} ") if alone else told
    line = progress.summary(job, _now())
    return Look(job_id, progress.bars(kind, job, _now(), columns), line if alone else f"{job_id}: {line}", progress.phase(job),
                EXITS.get(job["status"]), end)


def _cancel(options: argparse.Namespace) -> int:
    client = Client.of(options)
    kind, _ = _find(client, options.id, options.kind)
    answer = client.call("DELETE", "ml", kind, options.id, query={"clean": str(options.clean).lower()})
    print(json.dumps(answer) if options.json else answer["status"])
    return exits.DONE


def _now() -> int:
    return time.time_ns() // 1_000_000
