"""The rules that a request's members keep: each is called with the member's wire name and its value and raises if it is broken.

The id and instance-type texts are AWS's own (Neptune user guide, "Neptune ML management API errors and exceptions").
"""

import re
from collections.abc import Callable
from typing import Any

from despina.core.errors import (
    ConflictingArguments,
    InvalidArgument,
    InvalidId,
    InvalidInstanceType,
    InvalidLocation,
    OutOfRange,
)
from despina.core.frozen import Frozen
from despina.core.location import INVALID, fault

Rule = Callable[[str, Any], None]

MAX_ID_LENGTH = 48
MODEL_TYPES = ("heterogeneous", "kge")
MODEL_NAMES = ("rgcn", "kge", "transe", "distmult", "rotate", "custom")
_ID = re.compile(r"[A-Za-z0-9-]+")
_INSTANCE_TYPE = re.compile(r"ml\.[a-z][a-z0-9-]*\.[a-z0-9]+")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)


class Range(Frozen, frozen=True, kw_only=True):
    """A number from ``low`` to ``high``, both included; no upper end when ``high`` is None."""

    low: int
    high: int | None = None

    def __call__(self, name: str, value: int) -> None:
        """Raise OutOfRange when the value is outside."""
        if value < self.low or (self.high is not None and value > self.high):
            raise OutOfRange(f"The value {value} of '{name}' is out of range: it must be {self}.")

    def __str__(self) -> str:
        return f"{self.low} or more" if self.high is None else f"between {self.low} and {self.high}"


class OneOf(Frozen, frozen=True, kw_only=True):
    """One of a few words."""

    words: tuple[str, ...]

    def __call__(self, name: str, value: str) -> None:
        """Raise InvalidArgument for any other word."""
        if value not in self.words:
            raise InvalidArgument(f"The value '{value}' of '{name}' is not known: it must be one of {', '.join(self.words)}.")


class Items(Frozen, frozen=True, kw_only=True):
    """A list of at most ``count`` short names (SageMaker's rule for subnets and security groups)."""

    count: int

    def __call__(self, name: str, value: tuple[str, ...]) -> None:
        """Raise OutOfRange for too many items, InvalidArgument for one that is no name."""
        if len(value) > self.count:
            raise OutOfRange(f"'{name}' has {len(value)} items: it must have at most {self.count}.")
        for item in value:
            if not re.fullmatch(r"[-0-9a-zA-Z]{1,32}", item):
                raise InvalidArgument(f"The item '{item}' of '{name}' must be 1-32 letters, digits or hyphens.")


def job_id(_name: str, value: str) -> None:
    """An id of a job or endpoint: 1-48 letters, digits or hyphens."""
    if not 1 <= len(value) <= MAX_ID_LENGTH:
        raise InvalidId("Invalid ID provided. ID can be 1-48 alphanumeric characters.")
    if not _ID.fullmatch(value):
        raise InvalidId("Invalid ID provided. Must contain only letters, digits, or hyphens.")


def location(name: str, value: str) -> None:
    """An ``s3://`` or ``file://`` location. The error begins with AWS's text and goes on to say what is wrong with which member."""
    problem = fault(value)
    if problem:
        raise InvalidLocation(f"{INVALID} ({name}: {problem})")


def instance_type(name: str, value: str) -> None:
    """An instance type of the form ``ml.family.size``. AWS publishes no list, and any size runs here on the machine's own cores."""
    if not _INSTANCE_TYPE.fullmatch(value):
        raise InvalidInstanceType(f"Invalid ML instance type. ('{value}' of '{name}' is not of the form ml.family.size)")


def role_arn(name: str, value: str) -> None:
    """The ARN of an IAM role."""
    if not 20 <= len(value) <= 2048 or not _ROLE_ARN.fullmatch(value):
        raise InvalidArgument(f"The value '{value[:200]}' of '{name}' is not the ARN of an IAM role "
                              "(arn:aws:iam::123456789012:role/Name).")


def kms_key(name: str, value: str) -> None:
    """The id or ARN of a KMS key, 2048 characters at most."""
    if len(value) > 2048 or not value.isprintable():
        raise InvalidArgument(f"The value of '{name}' is not the id of a KMS key (at most 2048 printable characters).")


def file_name(name: str, value: str) -> None:
    """A file directly in the input folder: no path in it."""
    if "/" in value or "\\" in value or value in {".", ".."} or not value.isprintable():
        raise ConflictingArguments(f"The value '{value}' of '{name}' must be the name of a file in the folder inputDataS3Location, "
                                   "without a path.")


def script_name(name: str, value: str) -> None:
    """A script directly in the folder of a user's own model: no path in it."""
    if "/" in value or "\\" in value or value.startswith("-") or value in {".", ".."} or not value.isprintable():
        raise ConflictingArguments(f"The value '{value}' of '{name}' must be the name of a script in the folder "
                                   "sourceS3DirectoryPath, without a path.")


def model_type(name: str, value: str) -> None:
    """``heterogeneous`` or ``kge``."""
    OneOf(words=MODEL_TYPES)(name, value)


def model_name(name: str, value: str) -> None:
    """The names of the user guide."""
    OneOf(words=MODEL_NAMES)(name, value)
