"""What passes between the engine and the node on which Ray starts a run.

To the node: one word on the entrypoint's command line (``Order``). From the node: files in the log folder of its Ray session, which
the cluster's HTTP server gives out in constant time, unlike jobs' logs, which come whole (100 MB: 2.4 s)::

    despina/<submission id>/record.json   the latest ``Record``, replaced as a whole
    despina/<submission id>/log.<n>       the n-th ``PIECE`` of the run's log
"""

import base64
import binascii
import re
import zlib

import msgspec

from despina.core.frozen import Frozen
from despina.core.job import Observation, RunSpec

PIECE = 262_144
"""Bytes of a run's log that a file holds: any offset is found without reading what comes before it."""
LONGEST_WORD = 120_000
"""Bytes: Linux takes no argument of 128 KiB or more (execve(2), MAX_ARG_STRLEN), and a shell reads it before us."""
_SUBMISSION_ID = re.compile(r"[A-Za-z0-9._-]+")


class Order(Frozen, frozen=True, kw_only=True):
    """A run, and how it is to be kept."""

    version: str
    """Despina's, of the server; the node must have the same."""
    submission_id: str
    spec: RunSpec
    module: str
    cores: int
    grace_seconds: float
    cluster: str
    """Where the server reaches the cluster (``ray://HOST:PORT``)."""


class Record(Frozen, frozen=True, kw_only=True):
    """What the node tells of a run. The first one is written when the program is about to start."""

    observation: Observation
    log_bytes: int = 0


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
    return f"{submission_id}.stop"


def file_of(submission_id: str, name: str) -> str:
    """The name of one of the run's files, relative to the log folder."""
    if not _SUBMISSION_ID.fullmatch(submission_id):
        raise ValueError(f"'{submission_id}' is no submission id of ours.")
    return f"despina/{submission_id}/{name}"
