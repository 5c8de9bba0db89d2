"""Short ways to write policies and requests."""

from typing import Any

from despina.auth.policy import AuthorizationRequest, Decision, Policy, evaluate

CLUSTER = "arn:aws:neptune-db:us-east-1:123456789012:cluster-ABCD"
DATABASE = f"{CLUSTER}/database"
GET = "neptune-db:GetMLEndpointStatus"
Context = dict[str, str | tuple[str, ...]]


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def statement(effect: str = "Allow", **elements: Any) -> dict[str, Any]:
    """A statement about everything, but for the elements given."""
    if "NotAction" not in elements:
        elements.setdefault("Action", "*")
    if "NotResource" not in elements:
        elements.setdefault("Resource", "*")
    return {"Effect": effect, **elements}


def decide(*documents: dict[str, Any], boundary: dict[str, Any] | None = None, action: str = GET, resource: str = DATABASE,
           context: Context | None = None) -> Decision:
    policies = [Policy.parse(value, name=f"p{number}") for number, value in enumerate(documents)]
    bounds = Policy.parse(boundary, name="bounds") if boundary is not None else None
    return evaluate(policies, bounds, AuthorizationRequest(action=action, resource=resource, context=context or {}))
