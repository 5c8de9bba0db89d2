"""The roles of a cluster: which of them a request may name, and under which one a job works.

Source: Neptune Data API reference, ``neptuneIamRoleArn`` and ``sagemakerIamRoleArn`` ("must be listed in your DB cluster parameter
group or an error will occur"); user guide, "Neptune ML management API errors and exceptions" for the text of the missing one.
"""

from despina.core.errors import MissingMember, RoleNotInParameterGroup
from despina.core.frozen import Frozen

MISSING = "Required credentials are missing. Please add IAM role to the cluster or pass as a parameter to this request."
_MEMBERS = (("sagemaker_iam_role_arn", "sagemakerIamRoleArn"), ("neptune_iam_role_arn", "neptuneIamRoleArn"))
"""The role that does the work comes first."""


class ParameterGroup(Frozen, frozen=True, kw_only=True):
    """The part of a cluster's parameter group that is about roles."""

    roles: tuple[str, ...] | None = None
    """The ARNs of the roles that may be used; None: any, and none is needed."""
    default: str = ""
    """``neptune_ml_iam_role``: the role of requests that name none."""

    def role_of(self, request: Frozen) -> str | None:
        """The ARN of the role under which what this request asks for is done: ``sagemakerIamRoleArn`` before ``neptuneIamRoleArn``
        before the default.

        Raises:
            RoleNotInParameterGroup: it names a role that is not in the group.
            MissingMember: there is a group, and neither the request nor the cluster has a role.
        """
        given = [(wire, arn) for field, wire in _MEMBERS if (arn := getattr(request, field, None))]
        if self.roles is None:
            return given[0][1] if given else self.default or None
        for wire, arn in given:
            if arn not in self.roles:
                raise RoleNotInParameterGroup(
                    f"The role '{arn}' of '{wire}' is not in the cluster's parameter group: it must be "
                    f"{' or '.join(self.roles) or 'left out, as the group is empty'}.")
        role = given[0][1] if given else self.default
        if not role:
            raise MissingMember(MISSING)
        return role
