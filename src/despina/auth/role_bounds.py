"""What roles may do in S3, by the policies that they carry.

Source: Service authorization reference, "Actions, resources, and condition keys for Amazon S3".
"""

from collections.abc import Iterable

from despina.auth.principals import Policies, Principals
from despina.core.errors import AccessDenied
from despina.core.location import Location
from despina.core.principal import Principal


class PolicyRoleBounds:
    """``RoleBounds`` by the policies of the principals that are roles.

    A role that is a principal may do what its policies allow. A role that is none may do everything that the server can. What lies
    at ``file://`` has no ARN, so that no policy allows it.
    """

    def __init__(self, principals: Principals) -> None:
        self._principals = principals
        self._known: dict[str, tuple[Principal, Policies]] = {}

    def demand(self, role: str | None, action: str, location: Location, paths: Iterable[str] = ("",)) -> None:
        """See ``RoleBounds``."""
        policies = self._policies(role) if role else None
        if policies is None or role is None:
            return
        if location.scheme != "s3":
            raise AccessDenied(f"The role {role} has policies, which can only allow what is in S3, not {location}.")
        bucket, prefix = f"arn:aws:s3:::{location.bucket}", f"{location.key}/" if location.key else ""
        asked = [(action, f"{bucket}/{prefix}{path}") for path in paths]
        if action == "s3:GetObject":
            asked.insert(0, ("s3:ListBucket", bucket))
        for needed, resource in asked:
            decision = policies.decide(needed, resource, lambda: {"s3:prefix": prefix})
            if not decision.allowed:
                raise AccessDenied(f"The role {role} is not authorized to perform: {needed} on resource: {resource} {decision}.")

    def _policies(self, arn: str) -> Policies | None:
        principal = self._principals.by_arn(arn)
        if principal is None:
            return None
        known = self._known.get(arn)
        if known is None or known[0] != principal:
            known = self._known[arn] = (principal, Policies(principal))
        return known[1]
