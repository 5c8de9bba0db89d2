"""``despina endpoints create | list | show | update | delete | invoke | logs | wait``, over the HTTP API."""

import argparse
import json
from functools import partial
from typing import Any

from despina.cli import endpoint_tables, exits, logs
from despina.cli.client import NOT_FOUND, ApiError, Client, role_option, server_options
from despina.cli.parameters import add_file_option, add_options, query_of, read_file, request_of
from despina.cli.parsing import Commands, UsageError, add_verb, add_verbs
from despina.cli.waiting import Look, Waiting
from despina.core.errors import DespinaError
from despina.core.requests import CreateEndpoint, ListEndpoints

NOT_CREATED = ("update",)
"""Of ``CreateEndpoint``: there is a verb for it."""
NOT_UPDATED = ("id", "update")
NOT_LISTED = ("details", "neptune_iam_role_arn")
_CHANGING = {"Creating", "Updating", "Deleting"}
_BODY = '\'{"data": {"globalParameters": {"topk": 2}, "nodes": [{"nodeId": "1"}]}}\''


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the verbs to the ``endpoints`` command."""
    server = server_options()
    common = argparse.ArgumentParser(add_help=False, parents=[server])
    role_option(common)
    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("id", metavar="ID", help="the endpoint's id")
    verbs = add_verbs(parser)

    create = add_verb(verbs, "create", "create an endpoint that serves a job's model", parents=[server],
                      example="despina endpoints create --id airports --ml-model-training-job-id airports-1")
    add_options(create, CreateEndpoint, without=NOT_CREATED)
    add_file_option(create)
    create.set_defaults(perform=_create)

    update = add_verb(verbs, "update", "have an endpoint serve another job's model", parents=[server, one],
                      example="despina endpoints update airports --ml-model-training-job-id airports-2")
    add_options(update, CreateEndpoint, without=NOT_UPDATED)
    add_file_option(update)
    update.set_defaults(perform=_update)

    listing = add_verb(verbs, "list", "list endpoints, newest first", parents=[common],
                       example="despina endpoints list --status InService")
    add_options(listing, ListEndpoints, without=NOT_LISTED)
    listing.set_defaults(perform=_list)

    show = add_verb(verbs, "show", "show an endpoint, what it serves and its replicas", parents=[common, one],
                    example="despina endpoints show airports")
    show.set_defaults(perform=_show)

    delete = add_verb(verbs, "delete", "delete an endpoint", parents=[common, one], example="despina endpoints delete airports")
    delete.add_argument("--clean", action="store_true", help="taken and without effect: an endpoint writes nothing")
    delete.set_defaults(perform=_delete)
    _add_verbs_of_replicas(verbs, server, common, one)


def _add_verbs_of_replicas(verbs: Commands, server: argparse.ArgumentParser, common: argparse.ArgumentParser,
                           one: argparse.ArgumentParser) -> None:
    invoke = add_verb(verbs, "invoke", "ask an endpoint for predictions", parents=[server, one],
                      example=f"despina endpoints invoke airports {_BODY}",
                      description="Ask an endpoint for predictions. docs/inference.md says what a request may say.")
    invoke.add_argument("body", metavar="BODY", nargs="?", help="the request, as JSON")
    invoke.add_argument("--from-file", metavar="FILE", help="take the request from this file (-: from standard input)")
    invoke.set_defaults(perform=_invoke)

    log = add_verb(verbs, "logs", "print the log of a replica", parents=[common, one], example="despina endpoints logs -f airports")
    log.add_argument("--run", metavar="RUN", help="the id of the run (the one that started last)")
    log.add_argument("-f", "--follow", action="store_true", help="go on until the endpoint is gone")
    log.set_defaults(perform=_logs)

    wait = add_verb(verbs, "wait", "wait until endpoints are in service", parents=[common],
                    example="despina endpoints wait airports --timeout 60",
                    description="Wait until endpoints are in service. The exit status is 0 then, 3 if one has failed or could not "
                                "be updated, 4 if one was deleted, 124 if the time was over first.")
    wait.add_argument("ids", metavar="ID", nargs="+", help="the endpoints' ids")
    wait.add_argument("--deleted", action="store_true", help="wait until they are gone instead: the exit status is 0 then")
    wait.add_argument("--timeout", metavar="SECONDS", type=float, help="wait no longer than this")
    wait.set_defaults(perform=_wait)


def _create(options: argparse.Namespace) -> int:
    return _started(options, request_of(options, CreateEndpoint, without=NOT_CREATED))


def _update(options: argparse.Namespace) -> int:
    body = request_of(options, CreateEndpoint, without=NOT_UPDATED)
    return _started(options, {**body, "id": options.id, "update": True})


def _started(options: argparse.Namespace, body: dict[str, Any]) -> int:
    answer = Client.of(options).call("POST", "ml", "endpoints", body=body)
    print(json.dumps(answer) if options.json else answer["id"])
    return exits.DONE


def _list(options: argparse.Namespace) -> int:
    query = {**query_of(options, ListEndpoints, without=NOT_LISTED), "details": "true"}
    answer = Client.of(options).call("GET", "ml", "endpoints", query=query)
    told = {name: answer[name] for name in ("endpoints", "nextToken") if name in answer}
    if options.json:
        print(json.dumps(told))
        return exits.DONE
    print(endpoint_tables.listing(told["endpoints"]))
    if "nextToken" in told:
        print(f"There are more: --next-token {told['nextToken']}")
    return exits.DONE


def _find(client: Client, endpoint_id: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.call("GET", "ml", "endpoints", endpoint_id, query={"details": "true"})
    except ApiError as error:
        if error.code != NOT_FOUND:
            raise
        return None
    return found


def _show(options: argparse.Namespace) -> int:
    endpoint = _find(Client.of(options), options.id)
    if endpoint is None:
        raise _unknown(options.id)
    print(json.dumps(endpoint) if options.json else endpoint_tables.page(endpoint))
    return exits.DONE


def _unknown(endpoint_id: str) -> DespinaError:
    return DespinaError(f"There is no endpoint '{endpoint_id}'.")


def _delete(options: argparse.Namespace) -> int:
    query = {"clean": "true"} if options.clean else {}
    answer = Client.of(options).call("DELETE", "ml", "endpoints", options.id, query=query)
    print(json.dumps(answer) if options.json else answer["status"])
    return exits.DONE


def _invoke(options: argparse.Namespace) -> int:
    if (options.body is None) == (options.from_file is None):
        raise UsageError("The request must be given, either as BODY or in --from-file.")
    body = options.body.encode() if options.body is not None else read_file(options.from_file)
    answer = Client.of(options).invoke(options.id, body)
    print(json.dumps(answer) if options.json else endpoint_tables.predictions(answer))
    return exits.DONE


def _logs(options: argparse.Namespace) -> int:
    client = Client.of(options)
    query = {"run": options.run} if options.run else {}

    def over() -> bool:
        endpoint = _find(client, options.id)
        return endpoint is None or endpoint["status"] == "Failed"

    return logs.show(lambda token: dict(client.call("GET", "ml", "endpoints", options.id, "logs",
                                                    query={**query, "nextToken": token})),
                     over=over, follow=options.follow, as_json=options.json)


def _wait(options: argparse.Namespace) -> int:
    client = Client.of(options)
    if not options.deleted:
        for endpoint_id in options.ids:
            if _find(client, endpoint_id) is None:
                raise _unknown(endpoint_id)
    look = partial(_look, client, deleted=options.deleted, as_json=options.json, alone=len(options.ids) == 1)
    return Waiting(look, timeout=options.timeout, quiet=options.json).run(list(dict.fromkeys(options.ids)))


def _look(client: Client, endpoint_id: str, columns: int, *, deleted: bool, as_json: bool, alone: bool) -> Look:
    endpoint = _find(client, endpoint_id) or {"id": endpoint_id, "status": "Deleted"}
    status, replicas = endpoint["status"], endpoint.get("details", {}).get("replicas", [])
    reason = endpoint.get("details", {}).get("failureReason")
    line = f"{endpoint_id}: {status}, {sum(replica['state'] == 'ready' for replica in replicas)} of {len(replicas)} replicas answer"
    told = f"{status}{f': {reason}' if reason else ''}"
    end = json.dumps(endpoint) if as_json else told if alone else f"{endpoint_id} {told}"
    return Look(endpoint_id, [line[:columns]], line, line, _exit(status, reason, deleted=deleted), end)


def _exit(status: str, reason: str | None, *, deleted: bool) -> int | None:
    if deleted:
        return exits.DONE if status == "Deleted" else None
    if status in _CHANGING:
        return None
    return exits.STOPPED if status == "Deleted" else exits.FAILED if status == "Failed" or reason else exits.DONE
