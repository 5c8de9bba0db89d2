"""The principals of a server: those of its configuration file, and those of its store."""

from despina.auth.policy import AuthorizationRequest, Decision, Policy, evaluate
from despina.core.frozen import Frozen
from despina.core.ports import KeyStore
from despina.core.principal import Credential, Principal


class Policies(Frozen, frozen=True, kw_only=True):
    """The policies of a principal, understood."""

    identity: tuple[Policy, ...]
    boundary: Policy | None

    @classmethod
    def of(cls, principal: Principal) -> "Policies":
        """Raises InvalidPolicy, which names the principal and the place."""
        return cls(
            identity=tuple(Policy.parse(document, name=f"{principal.name}/{i}") for i, document in enumerate(principal.policies)),
            boundary=None if principal.boundary is None else Policy.parse(principal.boundary, name=f"{principal.name}/boundary"))

    def decide(self, request: AuthorizationRequest) -> Decision:
        """Whether they allow it."""
        return evaluate(self.identity, self.boundary, request)


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
        return next((principal for store in self._stores for principal in store.principals() if principal.arn == arn), None)
