"""Who asks, and whether he may: from a signed request to its principal."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from despina.auth.canonical import Request
from despina.auth.claims import Claim, identity, parse, refuse
from despina.auth.principals import Policies, Principals, check_usable
from despina.auth.secrets import SecretBox
from despina.auth.signing_keys import SigningKeys
from despina.auth.sigv4 import Key, check_time, verify
from despina.core.names import Cluster
from despina.core.ports import Clock
from despina.core.principal import Credential

SERVICE = "neptune-db"
_KNOWN = 4096
"""Principals kept ready."""
_REMEMBERED = 512
"""Requests that were verified, without bodies; each has headers of 32 KiB at most."""


class _Ready(NamedTuple):
    """A credential with everything that can be made ready before a request comes."""

    credential: Credential
    key: Key
    policies: Policies


class Gate:
    """Lets requests in that are signed by a principal who may do what they ask.

    Args:
        principals: Who may sign. What changes there holds from the next request on.
        open_box: Gives the box that secrets lie in; asked when the first key is met.
        cluster: What is asked for: its region is that of signatures, its resource that of policies.
        clock: The time that signatures are held against.
        soon: Calls what it is given in the next turn of the event loop: a key that is looked up is good for all requests of one
            turn, since these have arrived before anybody could have changed it. None: keys are looked up for every request.
    """

    def __init__(self, *, principals: Principals, open_box: Callable[[], SecretBox], cluster: Cluster, clock: Clock,
                 soon: Callable[[Callable[[], None]], None] | None = None) -> None:
        self._principals, self._open_box, self._clock, self._soon = principals, open_box, clock, soon
        self._looked_up: dict[str, _Ready | None] = {}
        self._verified: dict[object, tuple[Claim, _Ready]] = {}
        self._region = cluster.region
        self._resource = f"arn:aws:{SERVICE}:{cluster.region}:{cluster.account_id}:{cluster.resource_id}/database"
        self._account = cluster.account_id
        self._keys, self._ready = SigningKeys(), dict[str, _Ready]()

    def authenticate(self, request: Request, service: str = SERVICE) -> Credential:
        """Whose request it is.

        Args:
            request: As it stands on the wire.
            service: That it must be signed for; its path decides.

        Raises:
            AccessDenied: the signature or the key is not good; the text says why, and no secret.
            StoreError, SecretsKeyError: the keys cannot be read.
        """
        now = self._clock.now()
        same = identity(request)
        ready = (self._verified_before(same, now) if same else None) or self._verified_now(request, same, now, service)
        check_usable(ready.credential.key, now)
        return ready.credential

    def _verified_before(self, same: object, now: int) -> _Ready | None:
        """The credential that the same request was verified with before, if it still holds and is still the key's.

        Clients date signatures by the second: in all that a principal's lists of one second have signed they are the same.
        """
        known = self._verified.get(same)
        if known is None:
            return None
        claim, ready = known
        if self._find(claim.key_id) is not ready:
            return None
        check_time(claim, now // 1000)
        return ready

    def _verified_now(self, request: Request, same: object, now: int, service: str) -> _Ready:
        claim = parse(request)
        ready = self._find(claim.key_id)
        verify(claim, request, ready.key if ready else None, now=now, region=self._region, service=service, keys=self._keys)
        assert ready is not None  # noqa: S101 - verify has refused an unknown key
        if same:
            if len(self._verified) >= _REMEMBERED:
                self._verified.clear()
            self._verified[same] = claim, ready
        return ready

    def authorize(self, credential: Credential, action: str, context: Callable[[], Mapping[str, str]], *,
                  resource: str | None = None) -> None:
        """Let a principal pass that may do this. May be called from any thread.

        Args:
            credential: As ``authenticate`` has given it.
            action: The IAM action, with its service.
            context: Gives the values of condition keys that the edge knows.
            resource: An ARN; None: the cluster.

        Raises:
            AccessDenied: its policies do not allow it.
        """
        principal = credential.principal
        about = resource or self._resource
        decision = self._ready_for(credential).policies.decide(
            action, about, lambda: {**context(), **self._context(credential)})
        if not decision.allowed:
            raise refuse(f"User: {principal.arn} is not authorized to perform: {action} on resource: {about} {decision}.")

    def _context(self, credential: Credential) -> dict[str, str]:
        """The values of condition keys that are about who asks, and where (IAM user guide, "AWS global condition context keys").

        ``aws:username`` is there for users only, ``aws:TokenIssueTime`` for temporary credentials only.
        """
        principal, key = credential.principal, credential.key
        is_role = ":role/" in principal.arn
        found = {
            "aws:PrincipalArn": principal.arn, "aws:PrincipalType": "AssumedRole" if is_role else "User",
            "aws:PrincipalAccount": self._account, "aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false",
            "aws:RequestedRegion": self._region, "aws:EpochTime": str(self._clock.now() // 1000)}
        if not is_role:
            found["aws:username"] = principal.name
        if key.token_hash is not None:
            found["aws:TokenIssueTime"] = f"{datetime.fromtimestamp(key.created_at // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        return found

    def find(self, key_id: str) -> Credential | None:
        """The key, as it is now. May be called from any thread."""
        return self._principals.find(key_id)

    def remember(self, key_id: str, credential: Credential | None) -> None:
        """Take what ``find`` gave for true until the next turn of the event loop."""
        if self._soon is not None:
            if not self._looked_up:
                self._soon(self._looked_up.clear)
            self._looked_up[key_id] = self._ready_for(credential) if credential is not None else None

    def _find(self, key_id: str) -> _Ready | None:
        if key_id in self._looked_up:
            return self._looked_up[key_id]
        credential = self.find(key_id)
        self.remember(key_id, credential)
        return self._ready_for(credential) if credential is not None else None

    def _ready_for(self, credential: Credential) -> _Ready:
        key_id = credential.key.id
        ready = self._ready.get(key_id)
        # While nothing changes the store gives the same object.
        if ready is None or ready.credential is not credential:
            if len(self._ready) >= _KNOWN:
                self._ready.clear()
            ready = self._ready[key_id] = self._made(credential)
        return ready

    def _made(self, credential: Credential) -> _Ready:
        key = credential.key
        return _Ready(credential, policies=Policies(credential.principal), key=Key(
            identity=key.id.encode() + key.sealed, token_hash=key.token_hash,
            secret=lambda: self._open_box().open(key.sealed, key.id)))
