"""A server that demands signatures: its principals, their keys, and clients that sign."""

import json
import subprocess
import sys
from typing import Any

import boto3
from botocore.config import Config
from tests.serving import PATIENCE_SECONDS, Server

RESOURCE = "arn:aws:neptune-db:us-east-1:123456789012:cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ/*"
Keys = dict[str, str]
"""As ``despina keys create --json`` tells them: by the names of environment variables."""


def despina_keys(server: Server, *arguments: str) -> Any:
    """What ``despina keys`` says, as JSON if it is any."""
    command = [sys.executable, "-m", "despina", "keys", *arguments, "--data-dir", str(server.data_dir), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


def grant(server: Server, name: str, *actions: str, effect: str = "Allow", resource: str = RESOURCE) -> None:
    """Give a principal a policy that is about these actions; without a service in their names they are Neptune's."""
    path = server.data_dir / f"{name}.json"
    full = [action if ":" in action else f"neptune-db:{action}" for action in actions]
    path.write_text(json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Action": full, "Resource": resource}]}), encoding="utf-8")
    despina_keys(server, "grant", name, "--policy", str(path))


def issued(server: Server, name: str, *options: str) -> Keys:
    """An access key of a principal."""
    keys: Keys = despina_keys(server, "create", name, *options)
    return keys


def client(server: Server, keys: Keys, **changes: Any) -> Any:
    """boto3, with these keys."""
    return boto3.client("neptunedata", endpoint_url=server.url, region_name=changes.pop("region", "us-east-1"),
                        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"], aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                        aws_session_token=keys.get("AWS_SESSION_TOKEN"), config=Config(retries={"total_max_attempts": 1}),
                        **changes)
