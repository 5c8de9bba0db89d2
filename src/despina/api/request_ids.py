"""The id of a request: in every answer's ``x-amzn-RequestId`` and, for a failure of ours, in the log."""

import itertools
import uuid
from collections.abc import Iterator


def request_ids() -> Iterator[str]:
    """Ids of the form of a UUID. The first four groups are random and the last one counts, which is a tenth of a UUID's cost."""
    begin = str(uuid.uuid4())[:24]
    return (f"{begin}{number & 0xFFFF_FFFF_FFFF:012x}" for number in itertools.count(1))
