"""The one table from domain errors to the exceptions of the Neptune Data API, and the form of an error answer.

Source: Neptune Data API reference, and ``docs/design/0002-http-edge.md`` where it is silent.
"""

import logging
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from despina.core import errors
from despina.core.errors import DespinaError

logger = logging.getLogger("despina.api")

MAX_TEXT = 2048
"""Characters of an error's text that are sent: a text may quote what the client sent, whatever its length."""

Headers = list[tuple[bytes, bytes]]


class UnknownPath(DespinaError):
    """No operation has this path."""


class MethodNotAllowed(DespinaError):
    """The path exists, but not with this method. ``allowed`` are those it has."""

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class NotReady(DespinaError):
    """The server cannot do its work now."""


class Meaning(NamedTuple):
    """What an error is on the wire: the exception's name and the HTTP status."""

    code: str
    status: int


INTERNAL = Meaning("InternalFailureException", 500)
UNAVAILABLE = Meaning("InternalFailureException", 500)
"""What the server needs does not answer: no bug, and nothing to hide. SDKs ask again of themselves."""
BAD_REQUEST = Meaning("BadRequestException", 400)
INVALID_PARAMETER = Meaning("InvalidParameterException", 400)

MEANINGS: dict[type[DespinaError], Meaning] = {
    errors.MalformedRequest: BAD_REQUEST,
    errors.RequestTooLarge: BAD_REQUEST,
    errors.RequestTooSlow: Meaning("ClientTimeoutException", 408),
    errors.MissingMember: Meaning("MissingParameterException", 400),
    errors.OutOfRange: Meaning("ConstraintViolationException", 400),
    errors.UnreadableParameter: INVALID_PARAMETER,
    errors.InvalidId: INVALID_PARAMETER,
    errors.InvalidInstanceType: INVALID_PARAMETER,
    errors.InvalidLocation: BAD_REQUEST,
    errors.InvalidArgument: Meaning("InvalidArgumentException", 400),
    errors.ConflictingArguments: Meaning("IllegalArgumentException", 400),
    errors.NotOffered: Meaning("UnsupportedOperationException", 400),
    errors.RoleNotInParameterGroup: Meaning("PreconditionsFailedException", 400),
    errors.IdTaken: INVALID_PARAMETER,
    errors.PrincipalNotFound: INTERNAL,  # of the command line; no operation raises it
    errors.JobNotFound: Meaning("MLResourceNotFoundException", 404),
    errors.JobEnded: INVALID_PARAMETER,
    errors.BaseJobMissing: BAD_REQUEST,
    errors.BaseJobNotCompleted: BAD_REQUEST,
    errors.AccessDenied: Meaning("AccessDeniedException", 403),
    errors.TooManyRequests: Meaning("TooManyRequestsException", 429),
    errors.NoSuchEndpoint: Meaning("ValidationError", 400),
    errors.EndpointNotReady: Meaning("ModelNotReadyException", 429),
    errors.EndpointUnavailable: Meaning("ServiceUnavailable", 503),
    errors.ModelError: Meaning("ModelError", 424),
    errors.ArtifactError: BAD_REQUEST,
    errors.ArtifactsUnavailable: UNAVAILABLE,
    errors.LeaseLost: INTERNAL,
    errors.StoreError: INTERNAL,
    errors.WorkFailed: INTERNAL,
    UnknownPath: Meaning("BadRequestException", 404),
    MethodNotAllowed: Meaning("MethodNotAllowedException", 405),
    NotReady: Meaning("ServiceUnavailableException", 503),
}


class Answer(NamedTuple):
    """A whole answer: the HTTP status, the headers and the body."""

    status: int
    headers: Headers
    body: bytes


def answer(error: Exception, request_id: str) -> Answer:
    """The answer to a request that ended with this error. A failure of ours is logged with its traceback under the request's id."""
    meaning = meaning_of(error)
    if meaning is INTERNAL:
        logger.error("Request %s failed", request_id, exc_info=error)
    body = msgspec.json.encode(document(error, request_id))
    return Answer(meaning.status, [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-amzn-requestid", request_id.encode("ascii")),
        (b"x-amzn-errortype", meaning.code.encode("ascii")),
        *_headers(error),
    ], body)


def meaning_of(error: Exception) -> Meaning:
    """What an error is on the wire."""
    return next((MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS), INTERNAL)


def document(error: Exception, request_id: str) -> dict[str, Any]:
    """The body of the answer to a request that ended with this error."""
    meaning, text = meaning_of(error), str(error)
    if meaning is INTERNAL:
        text = f"An internal error occurred. The server's log says more under the request id {request_id}."
    more = {"OriginalStatusCode": error.status, "OriginalMessage": text} if isinstance(error, errors.ModelError) else {}
    # A text may quote a lone surrogate from the request, which has no UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT - 1] + "…"
    return {"requestId": request_id, "code": meaning.code, "detailedMessage": text, "message": text, **more}


def last_words(error: DespinaError, request_id: str, headers: Headers) -> bytes:
    """The bytes of an answer to what never becomes a request, for the server software; the connection is to be closed after them.

    Args:
        error: Why.
        request_id: Of the answer.
        headers: Those of all answers.
    """
    made = answer(error, request_id)
    lines = {**dict(headers), **dict(made.headers), b"connection": b"close"}
    phrase = HTTPStatus(made.status).phrase.encode("ascii")
    return (b"HTTP/1.1 %d %b\r\n" % (made.status, phrase) + b"".join(b"%b: %b\r\n" % item for item in lines.items())
            + b"\r\n" + made.body)


def _headers(error: Exception) -> Headers:
    """What particular errors add to the headers."""
    match error:
        case errors.TooManyRequests():
            return [(b"retry-after", b"%d" % error.retry_after)]
        case errors.EndpointNotReady() | errors.EndpointUnavailable():
            return [(b"retry-after", b"1")]
        case errors.ArtifactsUnavailable():
            return [(b"retry-after", b"5")]
        case MethodNotAllowed():
            return [(b"allow", ", ".join(error.allowed).encode("ascii"))]
        case errors.RequestTooLarge() | errors.RequestTooSlow():
            # The rest of the body stands between here and the next request.
            return [(b"connection", b"close")]
    return []
