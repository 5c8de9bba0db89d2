"""Endpoints of a real server, and asking them as clients do."""

import json
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from tests.serving import Server, wait_for
from tests.wire.described import described

Json = dict[str, Any]


def runtime(server: Server, **config: Any) -> Any:
    """A client of the SageMaker runtime that does not sign, nor repeat what failed."""
    return boto3.client("sagemaker-runtime", endpoint_url=server.url, region_name="us-east-1",
                        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, **config))


def ask(server: Server, name: str, body: Json) -> Json:
    """The answer of an endpoint."""
    answer = runtime(server).invoke_endpoint(EndpointName=name, ContentType="application/json", Body=json.dumps(body))
    assert answer["ContentType"] == "application/json"
    found = json.loads(answer["Body"].read())
    assert isinstance(found, dict)
    described().check("POST", f"/endpoints/{name}/invocations", 200, found)
    return found


def endpoint(server: Server, endpoint_id: str) -> Json:
    """The endpoint with its replicas."""
    status, _, found = server.request("GET", f"/ml/endpoints/{endpoint_id}?details=true")
    assert status == 200, found
    assert isinstance(found, dict)
    return found


def wait_until(server: Server, endpoint_id: str, *statuses: str) -> Json:
    """The endpoint once it has one of these statuses."""
    def there() -> Json | None:
        found = endpoint(server, endpoint_id)
        return found if found["status"] in statuses else None
    return wait_for(f"{endpoint_id} to be {' or '.join(statuses)}", there)


def wait_until_gone(server: Server, endpoint_id: str) -> None:
    wait_for(f"the end of {endpoint_id}", lambda: server.request("GET", f"/ml/endpoints/{endpoint_id}")[0] == 404)


def created(server: Server, endpoint_id: str, *, job: str = "tr", **members: Any) -> Json:
    """A new endpoint of a training job, in service."""
    server.boto3().create_ml_endpoint(id=endpoint_id, mlModelTrainingJobId=job, **members)
    found = wait_until(server, endpoint_id, "InService", "Failed")
    assert found["status"] == "InService", found
    return found


def serving(server: Server, endpoint_id: str) -> list[int]:
    """The processes that serve it, supervisors left out."""
    runs = {replica["run"] for replica in endpoint(server, endpoint_id)["details"]["replicas"]}
    found = []
    for pid in server.processes():
        try:
            marks, line = (Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline"))
        except OSError:
            continue
        if b"despina.programs" in line and b"supervisor.py" not in line and any(
                f"DESPINA_RUN_ID={run}\0".encode() in marks for run in runs):
            found.append(pid)
    return found
