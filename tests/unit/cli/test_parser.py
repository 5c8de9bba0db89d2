"""The parser itself: nothing of the API is forgotten, every example can be typed, and mistakes are told with what was meant."""

import argparse
import re
import shlex
from collections.abc import Iterator

import pytest

from despina.api.operations import OPERATIONS
from despina.api.wire import fields
from despina.cli import endpoints, jobs, main, parser
from despina.cli.parameters import MEANINGS, option_of
from despina.cli.parsing import Parser
from despina.core.frozen import Frozen
from despina.core.requests import CancelJob, CreateEndpoint, GetJob, ListEndpoints, ListJobs, ReadJobLogs

Path = tuple[str, ...]


def verbs_of(command: argparse.ArgumentParser, path: Path = ()) -> Iterator[tuple[Path, argparse.ArgumentParser]]:
    """All that can be done: the commands that have no verbs of their own."""
    below = [action for action in command._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield path, command
    for action in below:
        for name, inner in action.choices.items():
            yield from verbs_of(inner, (*path, name))


VERBS = dict(verbs_of(parser()))
PRINTS_NO_RESULTS = {"serve", "reconcile", "demo", "completion"}


def options(path: Path) -> set[str]:
    return {option for action in VERBS[path]._actions for option in action.option_strings}


def of(request: type[Frozen], *without: str) -> set[str]:
    return {option_of(field.name) for field in fields(request) if field.name not in without}


@pytest.mark.parametrize(("path", "request_type", "told_otherwise"), [
    *((("jobs", "start", kind), request, ()) for kind, request in jobs.KINDS.items()),
    (("jobs", "list"), ListJobs, ("details",)),
    (("jobs", "show"), GetJob, ("details", "id")),
    (("jobs", "logs"), ReadJobLogs, ("next_token", "id")),
    (("jobs", "wait"), GetJob, ("details", "id")),
    (("jobs", "cancel"), CancelJob, ("id",)),
    (("endpoints", "create"), CreateEndpoint, ("update",)),
    (("endpoints", "update"), CreateEndpoint, ("update", "id")),
    (("endpoints", "list"), ListEndpoints, ("details",)),
    (("endpoints", "show"), GetJob, ("details", "id")),
    (("endpoints", "logs"), ReadJobLogs, ("next_token", "id")),
    (("endpoints", "wait"), GetJob, ("details", "id")),
    (("endpoints", "delete"), CancelJob, ("id",)),
])
def test_every_parameter_of_a_request_is_an_option(path: Path, request_type: type[Frozen], told_otherwise: tuple[str, ...]) -> None:
    assert of(request_type, *told_otherwise) <= options(path)


def test_every_operation_has_a_verb() -> None:
    of_jobs = {"Start": "start", "List": "list", "Get": "show", "Cancel": "cancel"}
    of_endpoints = {"Create": "create", "List": "list", "Get": "show", "Delete": "delete"}
    for operation in OPERATIONS:
        group, words = ("endpoints", of_endpoints) if "Endpoint" in operation.name else ("jobs", of_jobs)
        verb = words[operation.name.partition("ML")[0]]
        assert any(path[:2] == (group, verb) for path in VERBS), operation.name
    assert ("endpoints", "invoke") in VERBS


def test_every_parameter_has_words() -> None:
    wanted = {field.member.wire for request in (*jobs.KINDS.values(), ListJobs, CreateEndpoint) for field in fields(request)}
    assert wanted - {"details", "update"} == MEANINGS.keys()


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_every_verb_has_an_example_that_can_be_typed_and_words_for_each_option(path: Path) -> None:
    verb = VERBS[path]
    assert verb.description
    assert verb.epilog
    assert verb.epilog.startswith("example:\n  despina ")
    words = shlex.split(verb.epilog.removeprefix("example:\n").replace("\\\n", " "))
    assert (words[0], tuple(words[1:1 + len(path)])) == ("despina", path)
    parser().parse_args(words[1:])
    assert all(action.help for action in verb._actions), "an option without words"
    assert all(isinstance(parsed, Parser) for parsed in (verb, *VERBS.values()))


@pytest.mark.parametrize("path", [path for path in VERBS if path[0] not in PRINTS_NO_RESULTS], ids=" ".join)
def test_whatever_prints_results_prints_json(path: Path) -> None:
    assert "--json" in options(path)


@pytest.mark.parametrize(("line", "told"), [
    ("jbos list", "there is no 'jbos': did you mean 'jobs'?"),
    ("jobs lits", "there is no 'lits': did you mean 'list'?"),
    ("jobs start modeltrainign", "there is no 'modeltrainign': did you mean 'modeltraining'?"),
    ("jobs list --max-itmes 3", "there is no option '--max-itmes' here: did you mean '--max-items'?"),
    ("jobs list --max-items=ten", "'ten' is not a whole number"),
    ("jobs list --max 3", "there is no option '--max' here"),
    ("jobs list --created-after yesterday", "'yesterday' is not a time: it must be as in 2026-11-25"),
    ("jobs list --next-token abc", "give --kind, too"),
    ("jobs", "the following arguments are required: VERB"),
    ("jobs show", "the following arguments are required: ID"),
    ("jobs show a b", "there is no place for 'b' here"),
    ("jobs start modeltraining --id x", "--data-processing-job-id (dataProcessingJobId) and --train-model-s3-location"),
    ("jobs start modeltraining --custom-model-training-parameters a=b", "'a=b' is not JSON"),
    ("jobs start dataprocessing --from-file /nowhere.json", "The file /nowhere.json cannot be read: No such file"),
    ("endpoints create --update", "there is no option '--update' here"),
    ("endpoints invoke a", "either as BODY or in --from-file"),
])
def test_wrong_usage_is_told_in_one_line_with_what_would_be_right(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(line.split())
    except SystemExit as end:
        status = int(str(end.code))
    said = capsys.readouterr()
    assert (status, said.out, len(said.err.splitlines())) == (2, "", 1), said.err
    assert told in said.err


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr()
    assert all(command in said.out for command in ("serve", "jobs", "endpoints", "doctor"))
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert re.fullmatch(r"despina \d+\.\d+.*\n", capsys.readouterr().out)


@pytest.mark.parametrize("request_type", [*jobs.KINDS.values(), CreateEndpoint])
def test_what_is_left_out_of_a_list_is_a_field(request_type: type[Frozen]) -> None:
    names = {field.name for field in fields(request_type)} | {field.name for field in fields(ListJobs)} | {"id"}
    assert {*jobs.NOT_LISTED, *endpoints.NOT_LISTED} <= names
