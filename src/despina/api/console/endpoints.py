"""The list of endpoints."""

from despina.api.console.formats import first_line
from despina.api.console.latency_chart import at_most
from despina.api.console.page import ROOT, ConsoleRequest, Page, Reply
from despina.api.console.snippets import client
from despina.core.endpoint import Endpoint, EndpointStatus
from despina.core.frozen import Frozen

PATH = f"{ROOT}/endpoints"


class Row(Frozen, frozen=True, kw_only=True):
    """An endpoint in the list. Times are ms since 1970."""

    id: str
    status: EndpointStatus
    asleep: bool
    model: str
    version: int
    """0: none is in service, nor to be."""
    ready: int
    replicas: int
    requests: int
    errors: int
    half: str
    most: str
    created_at: int
    failure: str


def _list(request: ConsoleRequest) -> Reply:
    rows = [_row(request, endpoint) for endpoint in request.plane.endpoints.all()]
    return request.render("endpoints_live.html" if request.fragment else "endpoints.html", rows=rows,
                          may_create=request.allows("neptune-db:CreateMLEndpoint"), snippet=_snippet(request))


def _row(request: ConsoleRequest, endpoint: Endpoint) -> Row:
    seen, version = request.edge.seen(endpoint.id), endpoint.serving or endpoint.upcoming
    latencies = seen.latencies
    return Row(
        id=endpoint.id, status=endpoint.status, asleep=endpoint.is_asleep, model=version.model if version else "",
        version=version.number if version else 0, ready=len(endpoint.answering), replicas=version.instances if version else 0,
        requests=latencies.count, errors=seen.errors, half=at_most(latencies, 0.5), most=at_most(latencies, 0.95),
        created_at=endpoint.created_at,
        failure=first_line(endpoint.failure_reason))


def _snippet(request: ConsoleRequest) -> str:
    return (f"import boto3\n\n{client(request, 'neptunedata', 'neptune')}\n"
            'neptune.create_ml_endpoint(id="airports", mlModelTrainingJobId="airports-1")')


PAGES = (Page("ListMLEndpoints", "GET", PATH, "ListMLEndpoints", _list, label="Endpoints"),)
