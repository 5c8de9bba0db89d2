"""Who may ask: principals, and the access keys that they sign with."""

from despina.core.frozen import Frozen


class Principal(Frozen, frozen=True, kw_only=True):
    """A user or a role. ``policies`` and ``boundary`` are IAM policy documents, JSON that was understood when it was stored."""

    name: str
    arn: str
    """``arn:aws:iam::123456789012:user/alice``, or of a role."""
    policies: tuple[str, ...] = ()
    boundary: str | None = None
    """The permissions boundary: what it does not allow, no policy can."""


class AccessKey(Frozen, frozen=True, kw_only=True):
    """An access key as it is kept: the secret sealed, the session token hashed (``auth.secrets``)."""

    id: str
    principal: str
    """The principal's name."""
    sealed: bytes
    created_at: int
    """ms since 1970."""
    expires_at: int | None = None
    """ms; of temporary credentials, which have a token."""
    token_hash: bytes | None = None
    disabled: bool = False


class Caller(Frozen, frozen=True, kw_only=True):
    """Who calls, and the id of the call; both None where neither is told."""

    arn: str | None = None
    """The principal's; None where requests are not signed."""
    invocation: str | None = None
    """The same over all attempts at one call."""


class Credential(Frozen, frozen=True, kw_only=True):
    """An access key with its principal, both as they were at one moment."""

    key: AccessKey
    principal: Principal
