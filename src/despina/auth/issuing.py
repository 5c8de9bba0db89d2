"""Making access keys."""

import secrets
import string
from typing import NamedTuple

from despina.auth.secrets import SecretBox
from despina.auth.sigv4 import hash_token
from despina.core.principal import AccessKey

_LETTERS = string.ascii_uppercase + "234567"
"""Of ids, as AWS's."""


class Issued(NamedTuple):
    """A new key, and what is only ever told once: the secret and, of temporary credentials, the session token."""

    key: AccessKey
    secret: str
    token: str | None


def issue(principal: str, box: SecretBox, *, now: int, seconds: int | None = None) -> Issued:
    """A new access key of a principal.

    Args:
        principal: Its name.
        box: What the secret is sealed in.
        now: ms since 1970.
        seconds: How long it holds, with a session token; None: for ever, without one.
    """
    key_id = ("AKIA" if seconds is None else "ASIA") + "".join(secrets.choice(_LETTERS) for _ in range(16))
    secret = secrets.token_urlsafe(30)
    token = None if seconds is None else secrets.token_urlsafe(96)
    return Issued(AccessKey(
        id=key_id, principal=principal, sealed=box.seal(secret, key_id), created_at=now,
        expires_at=None if seconds is None else now + 1000 * seconds,
        token_hash=None if token is None else hash_token(token.encode())), secret, token)
