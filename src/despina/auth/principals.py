"""The principals of a server: those of its configuration file, and those of its store."""

from collections.abc import Callable, Mapping

from despina.auth.policy import AuthorizationRequest, Decision, Policy, evaluate, settled
from despina.core.ports import KeyStore
from despina.core.principal import Credential, Principal

_REMEMBERED = 1024
"""Actions and resources about which a principal's decision is kept."""


class Policies:
    """The policies of a principal, understood. Raises InvalidPolicy, which names the principal and the place."""

    def __init__(self, principal: Principal) -> None:
        self._identity = tuple(
            Policy.parse(document, name=f"{principal.name}/{i}") for i, document in enumerate(principal.policies))
        self._boundary = (
            None if principal.boundary is None else Policy.parse(principal.boundary, name=f"{principal.name}/boundary"))
        self._settled: dict[tuple[str, str], Decision | None] = {}

    def decide(self, action: str, resource: str, context: Callable[[], Mapping[str, str]]) -> Decision:
        """Whether they allow it.

        Args:
            action: With its service.
            resource: An ARN.
            context: Gives the values of condition keys; asked only if a statement about this action has conditions.
        """
        about = action, resource
        if about not in self._settled:
            if len(self._settled) >= _REMEMBERED:
                self._settled.clear()
            self._settled[about] = settled(self._identity, self._boundary, action, resource)
        return self._settled[about] or evaluate(
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
