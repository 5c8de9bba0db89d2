"""Clients that sign, as their users call them. Each does one of four things and tells the status and what came back."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import requests
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from httpx_auth_awssigv4 import SigV4Auth
from requests_aws4auth import AWS4Auth
from tests.serving import PATIENCE_SECONDS, Server
from tests.wire.guarded import Keys, client

Answer = tuple[int, dict[str, Any]]
Call = Callable[[Server, Keys, "Action"], Answer]
REGION, SERVICE = "us-east-1", "neptune-db"
JS = Path(__file__).parent / "js"


class Action(NamedTuple):
    """One thing to do, in the words of HTTP and of the SDKs."""

    method: str
    path: str
    members: dict[str, Any]
    """Those that are not in the path."""
    command: str
    """Of the AWS SDK for JavaScript; other names follow from it."""
    job_id: str | None = None

    @property
    def snake(self) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=ML)(?=[A-Z])", "_", self.command).lower()

    @property
    def parameters(self) -> dict[str, Any]:
        return self.members | ({"id": self.job_id} if self.job_id else {})

    @property
    def query(self) -> dict[str, str]:
        return {} if self.method == "POST" else {name: _text(value) for name, value in self.members.items()}

    @property
    def body(self) -> dict[str, Any] | None:
        return self.members if self.method == "POST" else None


def with_boto3(server: Server, keys: Keys, action: Action) -> Answer:
    try:
        return 200, getattr(client(server, keys), action.snake)(**action.parameters)
    except ClientError as error:
        response: Any = error.response
        return response["ResponseMetadata"]["HTTPStatusCode"], {
            "code": response["Error"]["Code"], "message": response["Error"]["Message"]}


def with_presigned(server: Server, keys: Keys, action: Action) -> Answer:
    """A URL that botocore has presigned. A body is not signed then."""
    credentials = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], keys.get("AWS_SESSION_TOKEN"))
    request = AWSRequest(action.method, server.url + action.path, params=action.query,
                         headers={"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"})
    SigV4QueryAuth(credentials, SERVICE, REGION).add_auth(request)
    answer = requests.request(action.method, request.prepare().url, json=action.body, timeout=PATIENCE_SECONDS,
                              headers={"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"})
    return answer.status_code, answer.json()


def with_command_line(server: Server, keys: Keys, action: Action) -> Answer:
    """The AWS CLI, version 1."""
    words = []
    for name, value in action.parameters.items():
        option = "--" + re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[a-zA-Z])(?=S3)|(?<=S3)(?=L)", "-", name).lower()
        words += [option] if value is True else [option, str(value)]
    aws = [sys.executable, str(Path(sys.executable).with_name("aws")), "neptunedata", action.snake.replace("_", "-")]
    environment = _clean() | keys | {"AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull, "AWS_MAX_ATTEMPTS": "1"}
    done = subprocess.run([*aws, *words, "--endpoint-url", server.url, "--region", REGION, "--output", "json"],
                          env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    if done.returncode == 0:
        return 200, json.loads(done.stdout)
    found = re.search(r"An error occurred \((\w+)\) when calling .*?: (.*)", done.stderr, re.DOTALL)
    assert found, done.stderr
    # The status is not told; it follows from the code.
    return {"AccessDeniedException": 403, "MLResourceNotFoundException": 404}[found[1]], {"code": found[1], "message": found[2]}


def with_javascript(server: Server, keys: Keys, action: Action) -> Answer:
    """The AWS SDK for JavaScript, version 3."""
    line = json.dumps({"url": server.url, "command": action.command, "input": action.parameters, "credentials": {
        "accessKeyId": keys["AWS_ACCESS_KEY_ID"], "secretAccessKey": keys["AWS_SECRET_ACCESS_KEY"],
        **({"sessionToken": keys["AWS_SESSION_TOKEN"]} if "AWS_SESSION_TOKEN" in keys else {})}})
    done = subprocess.run(["node", "call.mjs"], cwd=JS, input=line + "\n", capture_output=True, text=True, timeout=PATIENCE_SECONDS,
                          check=True)
    answer = json.loads(done.stdout)
    if "output" in answer:
        return 200, answer["output"]
    return answer["error"]["status"], {"code": answer["error"]["name"], "message": answer["error"]["message"]}


def with_requests_aws4auth(server: Server, keys: Keys, action: Action) -> Answer:
    auth = AWS4Auth(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], REGION, SERVICE,
                    session_token=keys.get("AWS_SESSION_TOKEN"))
    answer = requests.request(action.method, server.url + action.path, params=action.query, json=action.body, auth=auth,
                              timeout=PATIENCE_SECONDS)
    return answer.status_code, answer.json()


def with_httpx_auth(server: Server, keys: Keys, action: Action) -> Answer:
    """It signs the query as it stands and not sorted, as AWS wants it: its users have to sort."""
    auth = SigV4Auth(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], SERVICE, REGION, keys.get("AWS_SESSION_TOKEN"))
    answer = httpx.request(action.method, server.url + action.path, params=dict(sorted(action.query.items())), json=action.body,
                           auth=auth, timeout=PATIENCE_SECONDS)
    return answer.status_code, answer.json()


def with_awscurl(server: Server, keys: Keys, action: Action) -> Answer:
    """It encodes the query itself, so that it has to be given as it is meant."""
    query = "&".join(f"{name}={value}" for name, value in action.query.items())
    url = server.url + action.path + (f"?{query}" if query else "")
    body = [] if action.body is None else ["-d", json.dumps(action.body), "-H", "Content-Type: application/json"]
    done = subprocess.run([sys.executable, str(Path(sys.executable).with_name("awscurl")), "-i", "--service", SERVICE,
                           "--region", REGION, "-X", action.method, *body, url],
                          env=_clean() | keys, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    _, _, content = done.stdout.partition("\n\n")
    answer = json.loads(content)
    # The status is not told; it follows from the code.
    return {"AccessDeniedException": 403, "MLResourceNotFoundException": 404}.get(answer.get("code"), 200), answer


CLIENTS: dict[str, Call] = {
    "boto3": with_boto3, "presigned": with_presigned, "aws-cli": with_command_line, "javascript": with_javascript,
    "requests-aws4auth": with_requests_aws4auth, "httpx-auth-awssigv4": with_httpx_auth, "awscurl": with_awscurl}


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
