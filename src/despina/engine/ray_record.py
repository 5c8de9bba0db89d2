"""What passes between the engine and the node on which Ray starts a run.

To the node: one word on the entrypoint's command line (``Order``). From the node: files in the log folder of its Ray session, which
the cluster's HTTP server gives out in constant time, unlike jobs' logs, which come whole::

    despina/<files>/record.json   the latest ``Observation``, replaced as a whole; the first one when the program starts
    despina/<files>/log.<n>       the n-th ``PIECE`` of the run's log
    despina/<files>/progress.<n>  the n-th ``PIECE`` of what it told of its progress

``<files>`` is a new word for every job, kept in its metadata: one of the same id before it, of a forgotten run, has files too.
"""

import base64
import binascii
import re
import zlib

import msgspec

from despina.core.frozen import Frozen
from despina.core.job import RunSpec

PIECE = 262_144
"""Bytes that a file of these holds: any offset is found without reading what comes before it."""
LONGEST_WORD = 120_000
"""Bytes: Linux takes no argument of 128 KiB or more (execve(2), MAX_ARG_STRLEN), and a shell reads it before us."""
FILES = "despina_files"
"""The metadata that names the run's files."""
_MARK = ".stop"
_WORD = re.compile(r"[0-9a-f]+")


class Order(Frozen, frozen=True, kw_only=True):
    """A run, and how it is to be kept."""

    version: str
    """Despina's, of the server; the node must have the same."""
    submission_id: str
    files: str
    spec: RunSpec
    module: str
    cores: int
    grace_seconds: float
    cluster: str
    """Where the server reaches the cluster (``ray://HOST:PORT``)."""


def pack(order: Order) -> str:
    """The order as one word that no shell takes for anything else."""
    return base64.urlsafe_b64encode(zlib.compress(msgspec.json.encode(order), 9)).decode()


def unpack(word: str) -> Order:
    """The order. Raises ValueError for anything else, also for an order of another version's form."""
    try:
        return msgspec.json.decode(zlib.decompress(base64.urlsafe_b64decode(word)), type=Order)
    except (binascii.Error, zlib.error, msgspec.DecodeError) as error:
        raise ValueError(f"{error}") from error


def mark_of(submission_id: str) -> str:
    """The id of the job that stands for the wish to stop a job which waits."""
    return submission_id + _MARK


def is_mark(submission_id: str) -> bool:
    """Whether a job stands for such a wish."""
    return submission_id.endswith(_MARK)


def file_of(files: str, name: str) -> str:
    """The name of one of the run's files, relative to the log folder."""
    if not _WORD.fullmatch(files):
        raise ValueError(f"'{files}' does not name files of ours.")
    return f"despina/{files}/{name}"
