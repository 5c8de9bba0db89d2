"""The command line's signatures against botocore's, and against the server's own eyes."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from despina.cli.signing import Credentials, credentials, sign

NOW = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
GIVEN = Credentials(key_id="AKIDEXAMPLE", secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region="eu-west-1")


@pytest.mark.parametrize("token", ["", "a-session-token"])
@pytest.mark.parametrize(("method", "target", "body"), [
    ("GET", "/ml/modeltraining?maxItems=3&nameContains=a%20b%2Fc", b""),
    ("POST", "/ml/dataprocessing", b'{"id": "x"}'),
    ("DELETE", "/ml/endpoints/%C3%A4%20b?neptuneIamRoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2FX", b""),
])
def test_it_is_that_of_botocore(method: str, target: str, body: bytes, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: NOW.replace(tzinfo=None))
    request = AWSRequest(method=method, url=f"http://127.0.0.1:8182{target}", data=body)
    known = BotocoreCredentials(GIVEN.key_id, GIVEN.secret, token or None)
    botocore.auth.SigV4Auth(known, "neptune-db", GIVEN.region).add_auth(request)
    mine = sign(Credentials(key_id=GIVEN.key_id, secret=GIVEN.secret, token=token, region=GIVEN.region), method=method,
                target=target, host=urlsplit(request.url).netloc, body=body, service="neptune-db", now=NOW)
    assert mine["Authorization"] == request.headers["Authorization"]


def test_the_key_comes_from_the_environment_and_is_not_shown() -> None:
    assert credentials({}) is None
    assert credentials({"AWS_ACCESS_KEY_ID": "A"}) is None
    found = credentials({"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_DEFAULT_REGION": "eu-west-1"})
    assert found is not None
    assert (found.key_id, found.region) == ("A", "eu-west-1")
    assert "hidden" not in repr(found)
