"""Which errors an operation may end with, and an answer to each."""

from itertools import groupby
from typing import Any

from despina.api.errors import MEANINGS, MethodNotAllowed, NotReady, UnknownPath, document, meaning_of
from despina.api.openapi.answers import named
from despina.api.operations import INVOKE_ENDPOINT, Operation
from despina.api.rendering import Document
from despina.api.wire import Field, fields
from despina.core import rules
from despina.core.errors import (
    AccessDenied,
    ArtifactError,
    ArtifactsUnavailable,
    BaseJobMissing,
    BaseJobNotCompleted,
    ConflictingArguments,
    DespinaError,
    EndpointNotReady,
    EndpointUnavailable,
    IdTaken,
    InvalidArgument,
    InvalidId,
    InvalidInstanceType,
    InvalidLocation,
    JobEnded,
    JobNotFound,
    MalformedRequest,
    MissingMember,
    ModelError,
    NoSuchEndpoint,
    NotOffered,
    OutOfRange,
    RequestTooLarge,
    RequestTooSlow,
    RoleNotInParameterGroup,
    StoreError,
    TooManyRequests,
    UnreadableParameter,
)
from despina.core.frozen import Frozen
from despina.core.requests import CancelJob, CreateEndpoint, StartRequest
from despina.core.roles import MISSING
from despina.core.rules import Items, OneOf, Range, Rule

REQUEST_ID = "8a6b0a52-3c1e-4f7e-9f61-00000000002a"
Kind = type[DespinaError]



def _broken(rule: Rule, name: str, value: Any) -> DespinaError:
    """What a rule says of a value that breaks it."""
    try:
        rule(name, value)
    except DespinaError as error:
        return error
    raise AssertionError(f"{value!r} breaks no rule of {name}")


_EXAMPLES: dict[str, DespinaError] = {
    "a member of the wrong type": MalformedRequest("The member 'subnets' must be a list of strings, not a string (subnet-1)."),
    "a body that is too large": RequestTooLarge(1_048_576),
    "a body that does not arrive": RequestTooSlow("The request body did not arrive within 30 seconds."),
    "a member that is missing": MissingMember("The required member 'dataProcessingJobId' is missing or empty."),
    "no role, where there must be one": MissingMember(MISSING),
    "a number outside its range": _broken(Range(low=1, high=1024), "maxItems", 0),
    "a parameter that cannot be read": UnreadableParameter(
        "The value 'ten' of 'maxItems' cannot be read: it must be a whole number."),
    "an id that breaks the rule": _broken(rules.job_id, "id", "my_job"),
    "an instance type": _broken(rules.instance_type, "trainingInstanceType", "large"),
    "a location": _broken(rules.location, "inputDataS3Location", "my-bucket/exports"),
    "a value that is not known": _broken(rules.model_name, "modelName", "gcn"),
    "arguments that may not stand together": _broken(rules.file_name, "configFileName", "configurations/one.json"),
    "switched off": NotOffered("Neptune ML is switched off on this server: the setting cluster.ml_enabled is false."),
    "a role outside the parameter group": RoleNotInParameterGroup(
        "The role 'arn:aws:iam::123456789012:role/Other' of 'neptuneIamRoleArn' is not in the cluster's parameter group: it must "
        "be arn:aws:iam::123456789012:role/NeptuneML."),
    "an id that is taken": IdTaken("Another resource with same ID already exists. Please use a new ID."),
    "an id that is not there": JobNotFound("Invalid ID provided. Please check whether a resource with the given ID exists."),
    "a job that has ended": JobEnded("Failed to stop the job because it has already completed or failed."),
    "a job to build on that is not there": BaseJobMissing("Provided MLModelTraining job doesn't exist."),
    "a job to build on that has not completed": BaseJobNotCompleted("Provided ModelTraining job has not completed."),
    "no permission": AccessDenied(
        "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: neptune-db:ListMLModelTrainingJobs on resource: "
        "arn:aws:neptune-db:us-east-1:123456789012:cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ/* because no identity-based policy allows "
        "the action."),
    "too many requests": TooManyRequests(
        "The server already answers 64 requests, the most that limits.max_in_flight allows. Try again in 1 s.", retry_after=1,
        limit="max_in_flight"),
    "no such endpoint": NoSuchEndpoint("Endpoint routes was not found: it must be the name of an endpoint, or its id."),
    "an endpoint that is being created": EndpointNotReady("The endpoint 'routes' is Creating: it does not answer yet."),
    "no replica answers": EndpointUnavailable("None of the replicas of the endpoint 'routes' answered within 20 s. Its details and "
                                              "its log say why."),
    "the model refuses": ModelError("The value 0 of 'topk' is out of range: it must be 1 or more.", status=400),
    "artefacts that cannot be reached": ArtifactError("The bucket 'my-bucket' cannot be listed: access denied."),
    "a server of artefacts that does not answer": ArtifactsUnavailable(
        "The S3 server at http://localhost:9000 cannot be reached. Try again later."),
    "not ready": NotReady("The server is not ready: it cannot read its jobs. The server's log says why."),
    "a failure of the server": StoreError("the disk is gone"),
    "an unknown path": UnknownPath("There is no operation at the path '/ml/modeltrainings'."),
    "a wrong method": MethodNotAllowed("The method PUT is not allowed at this path: it must be GET or POST.",
                                       allowed=("GET", "POST")),
}
EXAMPLES: Document = named({name: document(error, REQUEST_ID) for name, error in _EXAMPLES.items()})
"""``components.examples`` that are errors."""
ELSEWHERE = (UnknownPath, MethodNotAllowed)
"""What no operation ends with."""
_BY_RULE: dict[Any, tuple[Kind, ...]] = {
    rules.job_id: (InvalidId,), rules.location: (InvalidLocation,), rules.instance_type: (InvalidInstanceType,),
    rules.file_name: (ConflictingArguments,), rules.script_name: (ConflictingArguments,)}
"""What values raise that break a rule; the rules that are not here raise InvalidArgument."""


def answered_by(kinds: tuple[Kind, ...]) -> list[tuple[int, list[str]]]:
    """The HTTP statuses of these errors, each with the names of its examples."""
    names = [(MEANINGS[type(error)].status, name) for name, error in _EXAMPLES.items() if type(error) in kinds]
    return [(status, [name for _, name in found]) for status, found in groupby(sorted(names), key=lambda pair: pair[0])]


def form_of(names: list[str]) -> str:
    """The schema of these examples."""
    return "ModelError" if all(meaning_of(_EXAMPLES[name]).code == "ModelError" for name in names) else "Error"


def errors_of(operation: Operation) -> tuple[Kind, ...]:
    """What an operation may end with."""
    found: set[Kind] = {StoreError}
    if operation.metered:
        found |= {TooManyRequests}
    if operation.action is not None:
        found |= {AccessDenied}
    if operation.method == "POST":
        found |= {MalformedRequest, RequestTooLarge, RequestTooSlow}
    if operation is INVOKE_ENDPOINT:
        return (*found, NotOffered, NoSuchEndpoint, EndpointNotReady, EndpointUnavailable, ModelError)
    if operation.path.startswith("/ml/"):
        found |= {NotOffered, RoleNotInParameterGroup, MissingMember}
    if operation.path == "/readyz":
        found |= {NotReady}
    request = operation.request
    if issubclass(request, StartRequest | CreateEndpoint):
        found |= {IdTaken, BaseJobMissing, BaseJobNotCompleted, ConflictingArguments, InvalidLocation, ArtifactError,
                  ArtifactsUnavailable}
    if "{id}" in operation.path or issubclass(request, CreateEndpoint):
        found |= {JobNotFound}
    if issubclass(request, CancelJob) and "/endpoints/" not in operation.path:
        found |= {JobEnded}
    return (*found, *_of_members(request))


def _of_members(request: type[Frozen]) -> set[Kind]:
    return {kind for field in fields(request) for kind in _of_member(field)}


def _of_member(field: Field) -> set[Kind]:
    if isinstance(field.wanted, type) and issubclass(field.wanted, Frozen):
        return _of_members(field.wanted)
    found: set[Kind] = {UnreadableParameter} if field.member.where == "query" else set()
    match field.member.rule:
        case None:
            return found
        case Range():
            return found | {OutOfRange}
        case Items():
            return found | {OutOfRange, InvalidArgument}
        case OneOf():
            return found | {InvalidArgument}
    return found | set(_BY_RULE.get(field.member.rule, (InvalidArgument,)))
