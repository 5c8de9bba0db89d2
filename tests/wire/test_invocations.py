"""InvokeEndpoint of the SageMaker runtime, by boto3, by the AWS CLI, and by what no client would send."""

import hashlib
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from tests.scraping import scrape
from tests.serving import PATIENCE_SECONDS, Server, wait_for
from tests.wire.endpoints import ask, created, endpoint, runtime, serving, wait_until
from tests.wire.guarded import Keys, grant, issued

NODE = {"data": {"nodes": [{"nodeId": "item-1"}]}}


@pytest.fixture(scope="module")
def asked(trained: Server) -> Server:
    """A server with the endpoint ``ep`` in service."""
    created(trained, "ep")
    return trained


def test_predictions_are_those_of_the_artefacts(asked: Server) -> None:
    items = [{"nodeId": f"item-{i}"} for i in range(60)]
    answer = ask(asked, "ep", {"version": "v1", "data": {"globalParameters": {"topk": 2, "property": "colour"}, "nodes": items}})
    assert (answer["version"], answer["task"], answer["property"]) == ("v1", "node_class", "colour")
    found = answer["output"]["nodes"]
    assert [item["nodeId"] for item in found] == [f"item-{i}" for i in range(60)]
    output = asked.path(asked.boto3().get_ml_model_training_job(id="tr")["processingJob"]["outputLocation"])
    scores = np.load(output / "predictions" / "result.npz")["infer_scores"]
    classes = {name: i for i, name in enumerate(json.loads((output / "model.json").read_bytes())["shape"]["classes"])}
    for row, item in zip(scores, found, strict=True):
        assert [prediction["score"] for prediction in item["predictions"]] == sorted(map(float, row), reverse=True)
        assert item["predictions"][0]["class"] in classes
        assert {p["class"]: np.float32(p["score"]) for p in item["predictions"]} == {
            name: row[i] for name, i in classes.items()}


def test_an_id_that_is_not_there_fails_its_item_and_no_other(asked: Server) -> None:
    items = [{"nodeId": "item-1"}, {"nodeId": "nobody"}, {"tailNodeId": "item-2"}, {"nodeId": "item-2"}]
    found = ask(asked, "ep", {"data": {"nodes": items}})["output"]["nodes"]
    assert [item.get("error", {}).get("code") for item in found] == [None, "UnknownNode", "MissingNodeId", None]
    assert "nobody" in found[1]["error"]["message"]


def test_the_form_in_which_the_toolkit_asks_for_nodes(asked: Server) -> None:
    body = {"version": "v1", "mode": "edge_predict", "data": {
        "globalParameters": {"topk": 1, "edgeType": None, "property": "colour"},
        "edges": [{"headNodeId": "item-1", "tailNodeId": None}]}}
    [item] = ask(asked, "ep", body)["output"]["edges"]
    assert item["headNodeId"] == "item-1"
    assert item["predictions"] == ask(asked, "ep", NODE)["output"]["nodes"][0]["predictions"]


def test_nearest_neighbours(asked: Server) -> None:
    def nearest(**parameters: str) -> Any:
        given = {"topk": 100, "tailNodeType": "item", **parameters}
        body = {"mode": "embed_knn", "data": {"globalParameters": given, "nodes": [{"nodeId": "item-1"}]}}
        return ask(asked, "ep", body)["output"]["nodes"][0]["predictions"]

    found = nearest()
    assert len(found) == 59, "all others"
    scores = [item["score"] for item in found]
    assert scores == sorted(scores, reverse=True)
    assert 0 < len(nearest(exclude_flag="mask")) < 59, "those that it is linked with are left out"


def test_a_threshold(asked: Server) -> None:
    for threshold, count in ((0.0, 2), (0.5, 1), (1.1, 0)):
        body = {"data": {"globalParameters": {"topk": 2, "threshold": threshold}, "nodes": [{"nodeId": "item-1"}]}}
        assert len(ask(asked, "ep", body)["output"]["nodes"][0]["predictions"]) == count


def test_a_node_that_the_model_has_never_seen(asked: Server) -> None:
    body = {"data": {"globalParameters": {"topk": 2}, "nodes": [{"nodeId": "new"}, {"nodeId": "item-1"}]}, "explain": True,
            "subgraph": {"nodes": [{"id": "new", "type": "item", "properties": {"size": 2.5}}],
                         "edges": [{"from": "new", "to": f"item-{i}", "type": "link"} for i in range(5)]}}
    new, old = ask(asked, "ep", body)["output"]["nodes"]
    assert sum(prediction["score"] for prediction in new["predictions"]) == pytest.approx(1, abs=1e-5)
    named = {found["nodeId"] for found in new["explanation"]["neighbours"]}
    assert named == {f"item-{i}" for i in range(5)}
    assert new["explanation"]["properties"][0]["property"] == "size"
    assert "new" in {found["nodeId"] for found in old["explanation"]["neighbours"]}


@pytest.mark.parametrize(("content", "text"), [
    (b"", "not JSON"), (b"nonsense", "not JSON"), (b"[]", "cannot be understood"), (b"{}", "data"),
    (b'{"data": {}}', "'nodes' or 'edges'"), (b'{"data": {"nodes": [{"nodeId": 1}]}}', "nodeId"),
    (json.dumps({"version": "v2", "data": {"nodes": [{"nodeId": "a"}]}}).encode(), "'v2'"),
    (json.dumps({"mode": "guess", "data": {"nodes": [{"nodeId": "a"}]}}).encode(), "predict_tail"),
    (json.dumps({"mode": "predict_tail", "data": {"edges": [{"headNodeId": "a"}]}}).encode(), "does not predict links"),
    (json.dumps({"data": {"globalParameters": {"topk": 0}, "nodes": [{"nodeId": "a"}]}}).encode(), "'topk'"),
    (json.dumps({"data": {"globalParameters": {"property": "size"}, "nodes": [{"nodeId": "a"}]}}).encode(), "'colour'"),
    (json.dumps({"data": {"globalParameters": {"exclude_flag": "x"}, "nodes": [{"nodeId": "a"}]}}).encode(), "exclude_flag"),
    (json.dumps({**NODE, "subgraph": {"nodes": [{"id": "n", "type": "itm"}]}}).encode(), "did you mean 'item'"),
    (json.dumps({**NODE, "subgraph": {"nodes": [{"id": "n", "type": "item"}] * 2}}).encode(), "twice"),
    (json.dumps({**NODE, "subgraph": {"nodes": [{"id": "n", "type": "item", "properties": {"size": "big"}}]}}).encode(), "'big'"),
    (json.dumps({**NODE, "subgraph": {"edges": [{"from": "item-1", "to": "item-2", "type": "likes"}]}}).encode(), "'likes'"),
    (json.dumps({**NODE, "subgraph": {"edges": [{"from": "item-1", "to": "nobody", "type": "link"}]}}).encode(), "'nobody'"),
])
def test_a_request_at_fault_is_the_models_client_error(asked: Server, content: bytes, text: str) -> None:
    client = runtime(asked)
    with pytest.raises(client.exceptions.ModelError) as caught:
        client.invoke_endpoint(EndpointName="ep", Body=content)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert (answer["OriginalStatusCode"], answer["OriginalMessage"]) == (400, answer["Error"]["Message"])
    assert text in answer["OriginalMessage"]


def test_endpoints_that_cannot_be_invoked(asked: Server) -> None:
    client = runtime(asked)
    with pytest.raises(client.exceptions.ValidationError, match="Endpoint nobody was not found"):
        client.invoke_endpoint(EndpointName="nobody", Body=b"{}")
    status, headers, answer = asked.request("POST", "/endpoints/nobody/invocations", b"{}")
    assert (status, answer["code"], headers["x-amzn-errortype"]) == (400, "ValidationError", "ValidationError")
    with pytest.raises(client.exceptions.ClientError, match="exceeds max allowed value of 6291456 bytes"):
        client.invoke_endpoint(EndpointName="ep", Body=b" " * (6 * 2**20 + 1))
    assert ask(asked, "ep", {**NODE, "padding": "x" * 5_000_000})["output"], "what is larger than other bodies may be is let in"


def test_a_new_endpoint_is_not_ready_yet(asked: Server) -> None:
    asked.boto3().create_ml_endpoint(id="early", mlModelTrainingJobId="tr")
    status, headers, answer = asked.request("POST", "/endpoints/early/invocations", json.dumps(NODE).encode())
    assert (status, answer["code"], headers["retry-after"]) == (429, "ModelNotReadyException", "1")
    wait_until(asked, "early", "InService")
    assert asked.request("POST", "/endpoints/early/invocations", json.dumps(NODE).encode())[0] == 200
    asked.boto3().delete_ml_endpoint(id="early")


def test_the_command_line(asked: Server, tmp_path: Path) -> None:
    out = tmp_path / "answer.json"
    aws = Path(sys.executable).with_name("aws")
    done = subprocess.run(
        [sys.executable, str(aws), "sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "ep", "--body", json.dumps(NODE),
         "--content-type", "application/json", "--endpoint-url", asked.url, "--region", "us-east-1", "--no-sign-request", str(out)],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"ContentType": "application/json", "InvokedProductionVariant": "version-1"}
    assert json.loads(out.read_bytes()) == ask(asked, "ep", NODE)


def test_load_is_spread_over_the_replicas(asked: Server) -> None:
    created(asked, "two", instanceCount=2)
    assert len(serving(asked, "two")) == 2
    before = [processor_time(pid) for pid in serving(asked, "two")]
    client = runtime(asked, max_pool_connections=4)
    large = json.dumps({"data": {"nodes": [{"nodeId": f"item-{i % 60}"} for i in range(2000)]}})
    threads = [threading.Thread(target=lambda: [client.invoke_endpoint(EndpointName="two", Body=large) for _ in range(20)])
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = [processor_time(pid) - was for pid, was in zip(serving(asked, "two"), before, strict=True)]
    assert min(used) > 0.2 * sum(used) > 0, "ticks of both"
    asked.boto3().delete_ml_endpoint(id="two")


def processor_time(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    return int(fields[11]) + int(fields[12])


def test_what_is_measured_of_an_endpoint(asked: Server) -> None:
    created(asked, "measured")
    for _ in range(3):
        ask(asked, "measured", NODE)
    with pytest.raises(ClientError):
        ask(asked, "measured", {})
    of = {"endpoint": "measured"}
    found = scrape(asked)
    model = endpoint(asked, "measured")["details"]["serving"]["model"]
    assert found.value("despina_endpoint_info", **of, status="InService", model=model, version="1") == 1
    assert found.value("despina_endpoint_replicas", **of) == 1
    assert found.value("despina_endpoint_in_flight", **of) == 0
    assert found.value("despina_endpoint_errors_total", **of) == 1
    assert found.value("despina_endpoint_latency_seconds_count", **of) == 4
    assert found.value("despina_endpoint_latency_seconds_bucket", **of, le="+Inf") == 4
    assert (found.value("despina_endpoint_latency_seconds_sum", **of) or 0) > 0
    asked.boto3().delete_ml_endpoint(id="measured")


def test_an_endpoint_that_nobody_asks_sleeps_and_wakes(start_server: Callable[..., Server], trained_data: Path) -> None:
    server = start_server(environment={"DESPINA_ENDPOINT_IDLE_SECONDS": "0.3"}, data=trained_data)
    server.boto3().create_ml_endpoint(id="ep", mlModelTrainingJobId="tr", instanceCount=2)
    for _ in range(2):
        asleep = wait_for("sleep", lambda: (found := endpoint(server, "ep"))["details"]["asleep"] and found)
        assert asleep["status"] == "InService"
        assert "Wake it up" in page(server, "/console/endpoints/ep"), "who only looks at its page wakes nobody"
        # The supervisor ends a moment after it has told how the program ended.
        wait_for("no process: what nobody asks costs nothing", lambda: not server.processes())
        assert ask(server, "ep", NODE)["output"]["nodes"][0]["predictions"], "the call that wakes it is answered"
    assert 'name="topk"' in page(server, "/console/endpoints/ep?wake=yes")
    server.boto3().delete_ml_endpoint(id="ep")
    wait_for("its end", lambda: server.request("GET", "/ml/endpoints/ep")[0] == 404)


def page(server: Server, path: str) -> str:
    """A page of the console."""
    with urllib.request.urlopen(server.url + path, timeout=PATIENCE_SECONDS) as answer:
        text: str = answer.read().decode()
    return text


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, asked: Server) -> Iterator[Server]:
    """A server that demands signatures, on the data of the other one, whose endpoint it has too."""
    server = Server(asked.data_dir, "--iam-auth").start()
    yield server
    server.stop()


def signing(server: Server, keys: Keys, **changes: Any) -> Any:
    return boto3.client("sagemaker-runtime", endpoint_url=server.url, region_name=changes.pop("region_name", "us-east-1"),
                        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"], aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                        config=Config(retries={"total_max_attempts": 1}), **changes)


def test_invocations_are_signed_for_sagemaker_and_allowed_by_its_action(guarded: Server) -> None:
    name = endpoint_name(guarded)
    for principal, action, resource, allowed in (
            ("one", "sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}", True),
            ("all", "sagemaker:*", "*", True),
            ("other", "sagemaker:InvokeEndpoint", "arn:aws:sagemaker:us-east-1:123456789012:endpoint/another", False),
            ("neptune", "neptune-db:*", "*", False)):
        grant(guarded, principal, action, resource=resource)
        client = signing(guarded, issued(guarded, principal))
        for known_as in ("ep", name):
            if allowed:
                answer = client.invoke_endpoint(EndpointName=known_as, Body=json.dumps(NODE))
                assert json.loads(answer["Body"].read())["output"]["nodes"][0]["predictions"]
            else:
                with pytest.raises(ClientError, match=r"not authorized to perform: sagemaker:InvokeEndpoint") as caught:
                    client.invoke_endpoint(EndpointName=known_as, Body=json.dumps(NODE))
                assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def endpoint_name(server: Server) -> str:
    status, _, answer = server.request("GET", "/ml/endpoints/ep")
    assert status == 403, answer
    other = Server(server.data_dir).start()
    try:
        name = endpoint(other, "ep")["endpoint"]["name"]
    finally:
        other.stop()
    assert isinstance(name, str)
    return name


def test_a_signature_for_another_service_or_body_is_refused(guarded: Server) -> None:
    status, _, answer = guarded.request("POST", "/endpoints/ep/invocations", json.dumps(NODE).encode())
    assert (status, answer["code"]) == (403, "AccessDeniedException")
    keys = issued(guarded, "all")
    for service, body, text in (("neptune-db", b"{}", "'sagemaker'"), ("sagemaker", b"[]", "x-amz-content-sha256")):
        request = AWSRequest("POST", f"{guarded.url}/endpoints/ep/invocations", data=b"{}")
        request.headers["x-amz-content-sha256"] = hashlib.sha256(b"{}").hexdigest()
        SigV4Auth(Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]), service, "us-east-1").add_auth(request)
        status, _, answer = guarded.request("POST", "/endpoints/ep/invocations", body, dict(request.headers))
        assert (status, answer["code"]) == (403, "AccessDeniedException")
        assert text in answer["message"]
