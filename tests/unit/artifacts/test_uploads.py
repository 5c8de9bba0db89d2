"""Requests that are signed here have the signatures of botocore."""

from datetime import UTC, datetime
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from despina.artifacts.s3_uploads import _signed

NOW = datetime(2026, 11, 29, 10, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "a/token+of=some length"])
@pytest.mark.parametrize("key", ["a/b", "trials/a b+c&d", "ü/~x'(1)!*", ""])
def test_a_signature_is_that_of_botocore(monkeypatch: pytest.MonkeyPatch, key: str, token: str | None) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
    given = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr/secret", "AWS_REGION": "eu-west-3",
             "AWS_SESSION_TOKEN": token or ""}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    path, query = quote(f"/bucket/{key}", safe="/~"), f"prefix={quote(key, safe='~')}&uploads="
    request = AWSRequest("GET", f"https://s3.example.com:8333{path}?{query}")
    credentials = Credentials(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], token)
    signer = botocore.auth.S3SigV4Auth(credentials, "s3", "eu-west-3")
    signer.add_auth(request)
    assert _signed("GET", "s3.example.com:8333", path, query, NOW)["Authorization"] == request.headers["Authorization"]
