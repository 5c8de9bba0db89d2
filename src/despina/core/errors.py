"""Everything that can go wrong, in the domain's words. Nothing here knows of HTTP; ``api/errors.py`` maps each class to its answer.

::

    DespinaError
    ├── RequestError                 the caller's fault, found while reading the request
    │   ├── MalformedRequest         not JSON, not an object, a member of the wrong JSON type
    │   ├── RequestTooLarge          more bytes than the settings allow
    │   ├── RequestTooSlow           the body did not arrive in time
    │   ├── MissingMember            a required member is absent or empty
    │   ├── OutOfRange               a number outside its documented range
    │   ├── UnreadableParameter      a parameter's text cannot be read as its type
    │   ├── InvalidId                an id breaks the id rule
    │   ├── InvalidInstanceType      an instance type AWS would not know
    │   ├── InvalidLocation          an S3 location that is malformed or cannot be read
    │   ├── InvalidArgument          a value outside its vocabulary or form
    │   ├── ConflictingArguments     arguments that may not stand together
    │   └── NotOffered               a part this deployment does not offer, or has switched off
    ├── RoleNotInParameterGroup      a role that the cluster may not use
    ├── PrincipalNotFound            no principal has this name
    ├── IdTaken                      another job of the kind has this id
    ├── JobNotFound                  no job of the kind has this id
    ├── JobEnded                     the job to be stopped has completed or failed
    ├── BaseJobMissing               a job that the new one builds on does not exist
    ├── BaseJobNotCompleted          … or has not completed
    ├── AccessDenied                 no signature or a bad one, an unknown key, no permission
    ├── TooManyRequests              more than the settings allow; carries the seconds to wait
    ├── LeaseLost                    another reconciler holds the job, or its wish has changed
    ├── NoSuchEndpoint               no endpoint has this name, or it is not going to answer
    ├── EndpointNotReady             an endpoint does not answer yet
    ├── EndpointUnavailable          none of an endpoint's replicas answered in time
    ├── ModelError                   the model could not make anything of an invocation
    ├── ArtifactError                a file or bucket could not be read or written
    │   └── ArtifactsUnavailable     … since their server gives no answer, or fails
    ├── StoreError                   the job store cannot be opened or is of an unknown version
    └── WorkFailed                   a run's input is wrong; the text becomes the job's ``failureReason``
"""


class DespinaError(Exception):
    """The root of all errors that Despina raises on purpose. ``str(error)`` is a sentence for the user."""

    limit: str | None = None
    """The setting of ``[limits]`` that the caller has run into, if that is it."""


class RequestError(DespinaError):
    """The request itself is at fault."""


class MalformedRequest(RequestError):
    """The body is not JSON, not an object, or a member has the wrong JSON type."""


class RequestTooLarge(RequestError):
    """The body, or the headers, are larger than the setting ``limit`` allows."""

    def __init__(self, most: int, what: str = "Request size", *, limit: str = "max_body_bytes") -> None:
        super().__init__(f"{what} exceeds max allowed value of {most} bytes.")
        self.limit = limit


class RequestTooSlow(RequestError):
    """The body, or the headers, did not arrive within the time that the setting ``limit`` allows."""

    def __init__(self, message: str, *, limit: str = "body_timeout_seconds") -> None:
        super().__init__(message)
        self.limit = limit


class MissingMember(RequestError):
    """A required member is missing or empty."""


class OutOfRange(RequestError):
    """A number lies outside its documented range."""


class UnreadableParameter(RequestError):
    """A parameter's text cannot be read as a value of its type."""


class InvalidId(RequestError):
    """An id breaks the id rule (1-48 letters, digits or hyphens)."""


class InvalidInstanceType(RequestError):
    """An instance type that is not of the form ``ml.family.size``."""


class InvalidLocation(RequestError):
    """A location that is malformed, cannot be read, or is not served here."""


class InvalidArgument(RequestError):
    """A value outside its vocabulary or form."""


class ConflictingArguments(RequestError):
    """Arguments that may not stand together."""


class NotOffered(RequestError):
    """A part of the API that this deployment does not offer or has switched off."""


class RoleNotInParameterGroup(DespinaError):
    """A request names a role that is not in the cluster's parameter group."""


class PrincipalNotFound(DespinaError):
    """No principal has this name."""


class IdTaken(DespinaError):
    """Another job of the same kind has this id."""


class JobNotFound(DespinaError):
    """No job of this kind has this id."""


class JobEnded(DespinaError):
    """The job to be stopped has already completed or failed."""


class BaseJobMissing(DespinaError):
    """A job that the new one builds on does not exist."""


class BaseJobNotCompleted(DespinaError):
    """A job that the new one builds on has not completed."""


class AccessDenied(DespinaError):
    """The request is not signed, not signed well, or not permitted. The text never has a secret in it."""


class TooManyRequests(DespinaError):
    """More requests or jobs than the setting ``limit`` allows.

    ``retry_after`` is the time in seconds after which another attempt has a chance.
    """

    def __init__(self, message: str, *, limit: str, retry_after: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after = retry_after


class LeaseLost(DespinaError):
    """The lease under which a job was to be written is no longer held."""


class NoSuchEndpoint(DespinaError):
    """No endpoint has this name, or it has failed or is being deleted."""


class EndpointNotReady(DespinaError):
    """The endpoint is being created."""


class EndpointUnavailable(DespinaError):
    """None of the endpoint's replicas has answered in time."""


class ModelError(DespinaError):
    """The model could not make anything of an invocation.

    ``status`` is what the serving program said: 4xx for a request at fault, 5xx for the program itself.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class ArtifactError(DespinaError):
    """An artefact location could not be read, written or deleted."""


class ArtifactsUnavailable(ArtifactError):
    """The server of the artefacts gave no answer, or failed, for as long as it was waited for. Later it may do."""


class StoreError(DespinaError):
    """A job store cannot be opened, or was written by a version that this one does not know."""


class WorkFailed(DespinaError):
    """The work cannot be done with this input. The text becomes the job's ``failureReason``."""
