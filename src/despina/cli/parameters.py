"""The parameters of the API's requests as options: made from the request types themselves, so that none is forgotten."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from despina.api.wire import Field, fields
from despina.cli.parsing import UsageError, meant
from despina.core.frozen import Frozen
from despina.core.rules import OneOf, Range

MEANINGS = {
    "baseProcessingInstanceType": "recorded; jobs run on the machines that there are",
    "baseProcessingInstanceVolumeSizeInGB": "recorded",
    "configFileName": "the export's configuration, a file in its folder",
    "createdAfter": "only those created later: milliseconds since 1970, or as in 2026-11-25T16:00:00Z",
    "createdBefore": "only those created earlier, in the same forms",
    "customModelTrainingParameters": 'a model of your own, as in \'{"sourceS3DirectoryPath": "s3://…"}\'',
    "customModelTransformParameters": "another transform script of a model of your own, in the same form",
    "dataProcessingJobId": "the completed data-processing job whose graph is used",
    "enableInterContainerTrafficEncryption": "recorded",
    "enableManagedSpotTraining": "recorded",
    "id": "its id: 1 to 48 letters, digits or hyphens; one is made if it is left out",
    "inputDataS3Location": "where the export lies: s3://… or file:///…",
    "instanceCount": "replicas",
    "instanceType": "recorded",
    "maxHPONumberOfTrainingJobs": "trials",
    "maxHPOParallelTrainingJobs": "trials at a time, as far as there are cores and memory",
    "maxItems": "at most so many (of each kind)",
    "maxWaitTime": "recorded",
    "mlModelTrainingJobId": "the completed training job whose best model is meant",
    "mlModelTransformJobId": "the completed transform job whose model is meant",
    "modelName": "noted: the hyperparameter file decides which model is trained",
    "modelTransformOutputS3Location": "where the output goes: s3://… or file:///…",
    "modelType": "which model is proposed: heterogeneous, or kge for links",
    "nameContains": "only those with this in their id",
    "neptuneIamRoleArn": "the role that it works under",
    "nextToken": "the next page, as the answer before has it",
    "previousDataProcessingJobId": "the completed job whose graph this one continues",
    "previousModelTrainingJobId": "the completed training job to begin with",
    "processedDataS3Location": "where the output goes: s3://… or file:///…",
    "processingInstanceType": "recorded",
    "processingInstanceVolumeSizeInGB": "recorded",
    "processingTimeOutInSeconds": "the job fails when it has not ended by then",
    "s3OutputEncryptionKMSKey": "recorded",
    "sagemakerIamRoleArn": "the role that it works under, before the other one",
    "securityGroupIds": "recorded; with commas between them",
    "status": "only those with this status",
    "subnets": "recorded; with commas between them",
    "trainModelS3Location": "where the output goes: s3://… or file:///…",
    "trainingInstanceType": "recorded",
    "trainingInstanceVolumeSizeInGB": "recorded",
    "trainingJobName": "a trial whose model is applied, in place of the two job ids; 'jobs show' has the names",
    "trainingTimeOutInSeconds": "training ends with the best model so far",
    "volumeEncryptionKMSKey": "recorded",
}
"""What each parameter is for, by its name on the wire; docs/api.md says more."""
_TIMES = {"createdAfter", "createdBefore"}


def option_of(name: str) -> str:
    """The option that stands for a field."""
    return f"--{name.replace('_', '-')}"


def add_options(parser: argparse.ArgumentParser, request: type[Frozen], *, without: tuple[str, ...] = ()) -> None:
    """Add an option for each field of a request type but those that the command gives by other means."""
    for field in fields(request):
        if field.name not in without:
            parser.add_argument(option_of(field.name), dest=field.member.wire, help=_help(field), **_form(field))


def add_file_option(parser: argparse.ArgumentParser) -> None:
    """Add what reads a whole request."""
    parser.add_argument("--from-file", metavar="FILE", help="take the request from this file of JSON, with the API's names (-: "
                                                            "from standard input); options come before what is in it")


def request_of(options: argparse.Namespace, request: type[Frozen], *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The members that options and file give, by their wire names.

    Raises:
        UsageError: the file cannot be read or has unknown members, or a required member is missing.
    """
    body = _read(options.from_file, request) if getattr(options, "from_file", None) else {}
    for field in fields(request):
        given = None if field.name in without else getattr(options, field.member.wire)
        if given is not None:
            body[field.member.wire] = given
    missing = [f"{option_of(field.name)} ({field.member.wire})" for field in fields(request)
               if field.required and field.name not in without and body.get(field.member.wire) in {None, ""}]
    if missing:
        raise UsageError(f"{' and '.join(missing)} must be given, as options or in --from-file.")
    return body


def query_of(options: argparse.Namespace, request: type[Frozen], *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """The same as the parameters of a query."""
    return {name: str(value) for name, value in request_of(options, request, without=without).items()}


def _help(field: Field) -> str:
    rule, default = field.member.rule, field.default
    words = [MEANINGS[field.member.wire]]
    if isinstance(rule, Range) and field.member.wire not in _TIMES:
        words.append(str(rule))
    if isinstance(rule, OneOf):
        words.append(", ".join(rule.words))
    if field.required:
        words.append("required")
    elif default not in {msgspec.NODEFAULT, None, (), False, ""} and field.member.wire != "status":
        words.append(f"default {str(default).lower() if default is True else default}")
    return f"{words[0]} ({'; '.join(words[1:])})" if words[1:] else words[0]


def _form(field: Field) -> dict[str, Any]:
    """How argparse is to read it."""
    if field.wanted is bool:
        return {"nargs": "?", "const": True, "type": _boolean, "metavar": "true|false"}
    if field.member.wire in _TIMES:
        return {"type": moment, "metavar": "TIME"}
    if field.wanted is int:
        return {"type": _whole, "metavar": "N"}
    if field.wanted == tuple[str, ...]:
        return {"type": lambda text: text.split(","), "metavar": "A,B"}
    if field.wanted is str:
        return {"metavar": "VALUE"}
    return {"type": _object, "metavar": "JSON"}


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")
    return text.lower() == "true"


def _object(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"'{text}' is not a JSON object")
    return value


def moment(text: str) -> int:
    """Milliseconds since 1970, of a number of them or of ISO 8601, UTC if it names no zone."""
    if text.isdigit():
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time: it must be as in 2026-11-25 or 2026-11-25T16:00:00Z") from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def read_file(name: str) -> bytes:
    """What a file has, or standard input for ``-``. Raises UsageError."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"The file {name} cannot be read: {error.strerror}.") from None


def _read(name: str, request: type[Frozen]) -> dict[str, Any]:
    try:
        document = json.loads(read_file(name))
    except ValueError as error:
        raise UsageError(f"{name} is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise UsageError(f"{name} is not a JSON object with the members of a request.")
    _check(document, request, name)
    return document


def _check(document: dict[str, Any], request: type[Frozen], place: str) -> None:
    """Refuse members that there are not: the server would ignore them."""
    known = {field.member.wire: field for field in fields(request)}
    for name, value in document.items():
        if name not in known:
            hint = meant(name, known) or f": known are {', '.join(known)}."
            raise UsageError(f"{place} has an unknown member '{name}'{hint}")
        wanted = known[name].wanted
        if isinstance(value, dict) and isinstance(wanted, type) and issubclass(wanted, Frozen):
            _check(value, wanted, f"{place}: {name}")
