"""The id by which the SDKs mark all attempts at one call."""

import re

from despina.api.scope import Scope, header

_INVOCATION = re.compile(rb"[!-~]{1,64}")


def invocation(scope: Scope) -> str | None:
    """The request's ``amz-sdk-invocation-id``: a UUID, the same over the attempts of one call of one client.

    A value that is not 1-64 printable ASCII characters is ignored: such a start is simply not recognised when it is repeated.
    """
    value = header(scope, b"amz-sdk-invocation-id")
    return value.decode("ascii") if value is not None and _INVOCATION.fullmatch(value) else None
