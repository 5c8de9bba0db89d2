"""Endpoints into answers; the forms are those of the Neptune Data API (``rendering``)."""

from typing import NamedTuple

from despina.api.rendering import MAX_REASON, Document, View, present
from despina.api.scope import origin
from despina.core import names
from despina.core.endpoint import Endpoint, EndpointStatus, Replica, Version
from despina.core.job import RunState
from despina.core.ports import Page
from despina.core.requests import CreateEndpoint, GetJob, ListEndpoints


class EndpointListing(NamedTuple):
    """A page of ids, and the endpoints."""

    page: Page
    endpoints: tuple[Endpoint, ...]


def created(endpoint: Endpoint, _request: CreateEndpoint, view: View) -> Document:
    """``id``, ``arn`` (of the endpoint) and ``creationTimeInMillis``."""
    return {"id": endpoint.id, "arn": view.cluster.arn("endpoint", endpoint.resource_name),
            "creationTimeInMillis": endpoint.created_at}


def listed(listing: EndpointListing, request: ListEndpoints, view: View) -> Document:
    """``ids``; to users of Despina's own parameters ``nextToken`` and, with ``details``, ``endpoints`` as Get gives them."""
    answer: Document = {"ids": listing.page.ids}
    plain = ListEndpoints(max_items=request.max_items, neptune_iam_role_arn=request.neptune_iam_role_arn)
    if listing.page.next is not None and request != plain:
        answer["nextToken"] = listing.page.next
    if request.details:
        answer["endpoints"] = [{**_endpoint(endpoint, view), "details": _details(endpoint)} for endpoint in listing.endpoints]
    return answer


def got(endpoint: Endpoint, request: GetJob, view: View) -> Document:
    """``id``, ``status``, ``endpoint`` and ``endpointConfig``."""
    answer = _endpoint(endpoint, view)
    if request.details:
        answer["details"] = _details(endpoint)
    return answer


def deleted(endpoint: Endpoint, _request: object, _view: View) -> Document:
    """``status``: the endpoint's as Get would show it."""
    return {"status": endpoint.status}


def _endpoint(endpoint: Endpoint, view: View) -> Document:
    name = endpoint.resource_name
    shown = endpoint.serving or endpoint.upcoming
    config = names.endpoint_config(name, shown.number if shown else endpoint.versions)
    reason = endpoint.failure_reason
    failed = endpoint.status is EndpointStatus.FAILED
    return {
        "id": endpoint.id, "status": endpoint.status,
        "endpoint": present({
            "name": name, "arn": view.cluster.arn("endpoint", name), "status": endpoint.status,
            "failureReason": reason[:MAX_REASON] if reason else None,
            "cloudwatchLogUrl": f"{origin(view.scope)}/ml/endpoints/{endpoint.id}/logs" if failed else None}),
        "endpointConfig": {"name": config, "arn": view.cluster.arn("endpoint-config", config)}}


def _details(endpoint: Endpoint) -> Document:
    return present({
        "createdAt": endpoint.created_at,
        "startedBy": endpoint.started_by,
        "asleep": endpoint.is_asleep,
        "failureReason": endpoint.failure_reason,
        "serving": _version(endpoint.serving),
        "upcoming": _version(endpoint.upcoming),
        "replicas": [_replica(replica) for replica in endpoint.replicas],
        "endedRuns": endpoint.ended,
    })


def _version(version: Version | None) -> Document | None:
    if version is None:
        return None
    return {"version": version.number, "model": version.model, "jobKind": version.kind, "jobId": version.job_id,
            "artifacts": version.work.artifacts, "instances": version.instances, "createdAt": version.created_at,
            "notes": version.notes}


def _replica(replica: Replica) -> Document:
    state = "ready" if replica.answers else "asleep" if replica.state is RunState.SUCCEEDED else replica.state
    return present({
        "run": replica.spec.run_id, "version": replica.version, "state": state, "startedAt": replica.started_at,
        "readyAt": replica.ready_at, "failures": replica.failures, "notBefore": replica.not_before,
        "failureReason": replica.failure_reason, "runBefore": replica.before})
