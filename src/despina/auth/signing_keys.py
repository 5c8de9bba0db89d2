"""The keys that SigV4 signatures are made with: derived from a secret access key, and good for one day, region and service.

Source: IAM user guide, "Create a signed AWS API request" (step 4, "Calculate the signature").
"""

import hmac
from collections.abc import Callable

TERMINATOR = "aws4_request"
"""The last part of every credential scope."""

Scope = tuple[str, str, str]
"""The day (``20150830``), region and service that a signing key is good for."""


def derive(secret: str, scope: Scope) -> bytes:
    """The signing key of a secret access key for a scope."""
    key = b"AWS4" + secret.encode()
    for part in (*scope, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class SigningKeys:
    """Remembers signing keys, so that each is derived once a day. It keeps no secret. Threads may share it.

    Args:
        size: Keys remembered at most.
    """

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._keys: dict[tuple[bytes, Scope], bytes] = {}

    def get(self, identity: bytes, scope: Scope, secret: Callable[[], str]) -> bytes:
        """The signing key for a scope.

        Args:
            identity: What stands for the secret, such as its sealed form. Another secret must have another identity.
            scope: Day, region and service.
            secret: Gives the secret access key; it is asked only when the signing key has to be derived.
        """
        entry = identity, scope
        key = self._keys.get(entry)
        if key is None:
            if len(self._keys) >= self._size:
                self._keys.clear()
            key = self._keys[entry] = derive(secret(), scope)
        return key
