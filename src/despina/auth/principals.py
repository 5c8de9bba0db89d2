"""The principals of a server: those of its configuration file, and those of its store."""

from collections.abc import Callable, Mapping

from despina.auth.claims import refuse, shown
from despina.auth.policy import AuthorizationRequest, Decision, Policy, evaluate, settled
from despina.core.ports import KeyStore
from despina.core.principal import AccessKey, Credential, Principal

_REMEMBERED = 1024
"""Actions and resources about which a principal's decision is kept."""


class Policies:
    """The policies of a principal, understood. Raises InvalidPolicy, which names the principal and the place."""

    def __init__(self, principal: Principal) -> None:
        self._identity = tuple(
            Policy.parse(document, name=f"{principal.name}/{i}") for i, document in enumerate(principal.policies))
        self._boundary = (
            None if principal.boundary is None else Policy.parse(principal.boundary, name=f"{principal.name}/boundary"))
        self._settled: dict[tuple[str, str], tuple[Decision | None]] = {}

    def decide(self, action: str, resource: str, context: Callable[[], Mapping[str, str]]) -> Decision:
        """Whether they allow it.

        Args:
            action: With its service.
            resource: An ARN.
            context: Gives the values of condition keys; asked only if a statement about this action has conditions.
        """
        about = action, resource
        kept = self._settled.get(about)
        if kept is None:
            if len(self._settled) >= _REMEMBERED:
                self._settled.clear()
            kept = self._settled[about] = (settled(self._identity, self._boundary, action, resource),)
        # Not looked up again: another thread may have cleared it by now.
        return kept[0] or evaluate(
            self._identity, self._boundary, AuthorizationRequest(action=action, resource=resource, context=context()))


class Principals:
    """Several stores of principals as one. Of two keys or ARNs that are the same, that of the earlier store counts."""

    def __init__(self, *stores: KeyStore) -> None:
        self._stores = stores

    def find(self, key_id: str) -> Credential | None:
        """See ``KeyStore.find``."""
        for store in self._stores:
            found = store.find(key_id)
            if found is not None:
                return found
        return None

    def by_arn(self, arn: str) -> Principal | None:
        """The principal with this ARN."""
        return next((found for store in self._stores if (found := store.principal_of(arn)) is not None), None)


def check_usable(key: AccessKey, now: int) -> None:
    """Refuse a key that is disabled or has expired; ``now`` is in ms. Raises AccessDenied."""
    if key.disabled:
        raise refuse("The security token included in the request is invalid.", f"The access key {shown(key.id)} is disabled.")
    if key.expires_at is not None and key.expires_at <= now:
        raise refuse("The security token included in the request is expired.")
