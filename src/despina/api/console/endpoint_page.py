"""The page of one endpoint: how it is, a form to ask its model, what the model answers and why, and its log."""

import json
from pprint import pformat
from typing import Any

import msgspec

from despina.api.console.descriptions import Described
from despina.api.console.endpoints import PATH
from despina.api.console.job_log import plain
from despina.api.console.latency_chart import drawn
from despina.api.console.page import ConsoleRequest, Page, Reply
from despina.api.console.prediction_form import (
    Filled,
    example_subgraph,
    field_of,
    field_of_item,
    filled,
    request_of,
    samples,
    with_sample,
)
from despina.api.console.prediction_words import shown
from despina.api.console.snippets import client
from despina.core.endpoint import Endpoint
from despina.core.errors import DespinaError, JobNotFound, UnreadableParameter
from despina.core.requests import ReadJobLogs

LOG_LINES = 100
_LOG_PARTS, LOG_CHUNK = 16, 256 * 1024
"""Parts of a log that are read for its last lines, and their bytes."""
_DESCRIBE = b'{"mode": "describe"}'
Values = dict[str, Any]


def _show(request: ConsoleRequest) -> Reply:
    try:
        endpoint = request.plane.endpoints.get(request.path["id"])
    except JobNotFound:
        if not request.fragment:
            raise
        return request.render("endpoint_gone.html", part="state" if request.fragment == "live" else "log")
    if request.fragment == "log":
        return request.render("endpoint_log.html", log=_log(request, endpoint))
    if request.fragment:
        return request.render("endpoint_live.html", **_state(request, endpoint))
    return _page(request, endpoint, {})


def _page(request: ConsoleRequest, endpoint: Endpoint, values: Values, *, given: dict[str, str] | None = None,
          errors: dict[str, str] | None = None) -> Reply:
    """The whole page; ``given`` and ``errors`` are of a form that was sent, ``values`` what the model answered to it."""
    described, why_not = _described(request, endpoint)
    form: Filled | None = None
    if described is not None:
        example = example_subgraph(described) if request.query.get("example") == "new" and given is None else None
        form = filled(described, given or example or {}, errors, sent=given is not None)
    return request.render(
        "endpoint.html", **_state(request, endpoint), log=_log(request, endpoint), described=described, form=form, why_not=why_not,
        samples=samples(described) if described else (), **{"answer": None, "asked": "", "answered": "", "code": "", **values})


def _state(request: ConsoleRequest, endpoint: Endpoint) -> Values:
    seen = request.edge.seen(endpoint.id)
    return {
        "endpoint": endpoint, "seen": seen, "latencies": drawn(seen.latencies),
        "versions": [(name, version) for name, version in (("in service", endpoint.serving), ("coming", endpoint.upcoming))
                     if version],
        "may_update": request.allows("neptune-db:CreateMLEndpoint") and not endpoint.deleting,
        "may_delete": request.allows("neptune-db:DeleteMLEndpoint") and not endpoint.deleting}


def _described(request: ConsoleRequest, endpoint: Endpoint) -> tuple[Described | None, str]:
    """What the model is about; or none, and why there is no form: a page that is only looked at wakes nobody."""
    resource = request.cluster.arn("endpoint", endpoint.resource_name)
    if not request.allows("sagemaker:InvokeEndpoint", resource=resource):
        return None, "denied"
    if endpoint.serving is None or endpoint.deleting:
        return None, "creating" if endpoint.upcoming is not None and not endpoint.deleting else "down"
    known = request.edge.descriptions.get(endpoint)
    if known is not None:
        return known, ""
    if endpoint.is_asleep and "wake" not in request.query and not request.form:
        return None, "asleep"
    try:
        answer, _ = request.invoke(endpoint.id, _DESCRIBE)
        return request.edge.descriptions.put(endpoint, answer), ""
    except (DespinaError, msgspec.MsgspecError, TimeoutError):
        return None, "silent"


class FaultyFields(UnreadableParameter):
    """The form cannot be understood; ``fields`` says why, by field."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = fields


def _predict(request: ConsoleRequest) -> Reply:
    request.authorize("neptune-db:GetMLEndpointStatus")  # the page tells of more than the answer
    endpoint = request.plane.endpoints.get(request.path["id"])
    described, _ = _described(request, endpoint)
    if described is None:
        return _page(request, endpoint, {})
    given = with_sample(described, request.form)
    asked, errors = request_of(described, given)
    if errors:
        raise FaultyFields(errors)
    answered, _ = request.invoke(endpoint.id, msgspec.json.encode(asked))
    answer = msgspec.json.decode(answered)
    [[item]] = answer["output"].values()
    if "error" in item:
        message = item["error"]["message"]
        errors = {field_of_item(message, given): message}
    values = {"answer": None if errors else shown(described, asked, item), "asked": _pretty(asked), "answered": _pretty(answer),
              "code": _code(request, endpoint, asked)}
    return _page(request, endpoint, values, given=given, errors=errors)


def _again(request: ConsoleRequest, error: DespinaError) -> Reply:
    """The page with the form once more."""
    endpoint = request.plane.endpoints.get(request.path["id"])
    described = request.edge.descriptions.get(endpoint)
    given = with_sample(described, request.form) if described else dict(request.form)
    errors = error.fields if isinstance(error, FaultyFields) else {field_of(str(error), given): str(error)}
    return _page(request, endpoint, {}, given=given, errors=errors)


def _pretty(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _code(request: ConsoleRequest, endpoint: Endpoint, asked: Any) -> str:
    """Python that asks the same."""
    return (f"import json\n\nimport boto3\n\n{client(request, 'sagemaker-runtime', 'runtime')}\n"
            f"request = {pformat(asked, sort_dicts=False, width=90)}\n"
            f'answer = runtime.invoke_endpoint(EndpointName="{endpoint.id}", ContentType="application/json",\n'
            '                                 Body=json.dumps(request))\nprint(json.load(answer["Body"]))')


def _log(request: ConsoleRequest, endpoint: Endpoint) -> Values | None:
    """The last lines of the newest run's log; None: no run has begun."""
    try:
        run, data, after = request.plane.endpoints.read_logs(ReadJobLogs(id=endpoint.id))
        for _ in range(_LOG_PARTS):
            _, more, end = request.plane.endpoints.read_logs(ReadJobLogs(id=endpoint.id, run=run, next_token=after))
            if not more:
                break
            data, after = data[-LOG_CHUNK:] + more, end
    except JobNotFound:
        return None
    lines = plain(data).rstrip("\n").split("\n")
    return {"run": run, "text": "\n".join(lines[-LOG_LINES:]), "left_out": len(lines) > LOG_LINES}


PAGES = (
    Page("GetMLEndpoint", "GET", f"{PATH}/{{id}}", "GetMLEndpointStatus", _show),
    Page("InvokeEndpoint", "POST", f"{PATH}/{{id}}", "InvokeEndpoint", _predict, service="sagemaker", form_again=_again,
         form_action="GetMLEndpointStatus"),
)
