"""One call, as far as it is known, and its line in the audit log."""

import time
from dataclasses import dataclass, field
from typing import Protocol

from despina.api.authentication import claimed_key
from despina.api.errors import Answer
from despina.api.scope import Scope, client_host, header
from despina.auth.audit import Entry, event_time
from despina.core.principal import Caller, Credential

_NOBODY = Caller()
MAX_SHOWN = 256
"""Characters of what the client sent, in an entry."""


class Called(Protocol):
    """What is called, as far as the audit log tells of it: an operation, or a page of the console."""

    @property
    def name(self) -> str:
        """The operation's."""
        ...

    @property
    def action(self) -> str | None:
        """The IAM action, without the prefix of its service."""
        ...

    @property
    def service(self) -> str:
        """The AWS service."""
        ...

    @property
    def content_type(self) -> bytes:
        """Of the answer."""
        ...


@dataclass(slots=True, kw_only=True)
class Call:
    """What is known of a call; filled in as it is looked at."""

    request_id: str
    operation: Called | None = None
    credential: Credential | None = None
    """The key that it is signed with; None while it is not known that it is."""
    named_key: str | None = None
    """The key that somebody signs in with."""
    audited: bool = True
    """Whether the audit log tells of it."""
    resource_id: str | None = None
    invocation: str | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Of a successful answer, beside those that all have."""

    def caller(self) -> Caller:
        """Who calls, for the control plane."""
        if self.credential is None and self.invocation is None:
            return _NOBODY
        return Caller(arn=self.credential.principal.arn if self.credential else None, invocation=self.invocation)

    def told(self) -> dict[str, str | None]:
        """What an entry of the log says that it belongs to."""
        of_endpoint = self.operation is None or "ndpoint" in self.operation.name
        return {"request_id": self.request_id, "operation": self.operation.name if self.operation else None,
                "principal": self.credential.principal.arn if self.credential else None,
                "job_id": None if of_endpoint or self.resource_id is None else self.resource_id[:MAX_SHOWN]}

    def entry(self, scope: Scope, answer: Answer, error: Exception | None) -> Entry | None:
        """Its entry of the audit log; None for what no policy is about."""
        if self.operation is None or self.operation.action is None or not self.audited:
            return None
        known, agent = self.credential, header(scope, b"user-agent")
        key = known.key.id if known else self.named_key or claimed_key(scope)
        return Entry(
            event_time=event_time(time.time_ns() // 1_000_000), request_id=self.request_id, event_name=self.operation.name,
            action=f"{self.operation.service}:{self.operation.action}", source_ip_address=client_host(scope), status=answer.status,
            principal=known.principal.arn if known else None, access_key_id=key and key[:MAX_SHOWN],
            resource_id=self.resource_id and self.resource_id[:MAX_SHOWN],
            error_code=dict(answer.headers)[b"x-amzn-errortype"].decode() if error else None,
            error_message=str(error)[:4 * MAX_SHOWN] if error and answer.status == 403 else None,
            user_agent=agent.decode("latin-1")[:MAX_SHOWN] if agent else None)
