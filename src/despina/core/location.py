"""Locations of artefacts: ``s3://bucket/key`` and ``file:///path``."""

import re

from despina.core.errors import InvalidLocation
from despina.core.frozen import Frozen

INVALID = "Invalid S3 URL or incorrect S3 permissions. Please check your S3 configuration."
"""AWS's documented text; a detail follows it."""

MAX_LENGTH = 1024
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Location(Frozen, frozen=True, kw_only=True):
    """A prefix below which files lie. ``str(location)`` is its URL, without a slash at the end."""

    scheme: str
    bucket: str
    """The bucket of an ``s3`` location, ``""`` of a ``file`` location."""
    key: str
    """The path, without slashes at either end."""

    @classmethod
    def parse(cls, url: str) -> "Location":
        """Read a URL.

        Raises:
            InvalidLocation: not of the form ``s3://bucket/key`` or ``file:///path``, longer than 1024 characters, or with
                ``.``, ``..`` or empty segments or control characters in it.
        """
        problem = fault(url)
        if problem:
            raise InvalidLocation(f"{INVALID} ({problem})")
        scheme, _, rest = url.partition("://")
        bucket, _, key = rest.partition("/")
        return cls(scheme=scheme, bucket=bucket, key=key.rstrip("/"))

    def __truediv__(self, name: str) -> "Location":
        """The location ``name`` below this one."""
        return Location(scheme=self.scheme, bucket=self.bucket, key=f"{self.key}/{name}" if self.key else name)

    def __str__(self) -> str:
        if self.scheme == "file":
            return f"file:///{self.key}"
        return f"s3://{self.bucket}/{self.key}" if self.key else f"s3://{self.bucket}"


def fault(url: str) -> str | None:  # noqa: PLR0911 - a table of cases
    """What keeps a URL from being a location, or None."""
    scheme, separator, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    key = key.rstrip("/")
    if len(url) > MAX_LENGTH:
        return f"a location has at most {MAX_LENGTH} characters, this one has {len(url)}"
    if any(ord(character) < 32 or ord(character) == 127 for character in url):
        return "the location has a control character"
    if not separator or scheme not in {"s3", "file"}:
        return f"'{url}' is not of the form s3://bucket/key or file:///path"
    if scheme == "s3" and not (_BUCKET.fullmatch(bucket) and ".." not in bucket):
        return f"'{bucket}' in '{url}' is not a bucket name: 3-63 lower-case letters, digits, hyphens or dots"
    if scheme == "file" and (bucket or not key):
        return f"'{url}' must have an absolute path, as in file:///path"
    if key and any(segment in {"", ".", ".."} for segment in key.split("/")):
        return f"'{url}' has an empty, '.' or '..' segment"
    return None
