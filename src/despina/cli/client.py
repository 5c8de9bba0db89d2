"""The HTTP API as the command line calls it."""

import argparse
import http.client
import json
import os
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from despina.cli.signing import credentials, sign
from despina.core.errors import DespinaError

TIMEOUT_SECONDS = 60
DEFAULT_URL = "http://127.0.0.1:8182"
URL_VARIABLES = ("DESPINA_URL", "AWS_ENDPOINT_URL_NEPTUNEDATA")
"""The variables that may name the server, the first one set holds."""
NOT_FOUND = "MLResourceNotFoundException"


class NoAnswer(DespinaError):
    """There is no server, or it does not speak the API."""


class ApiError(DespinaError):
    """The server's answer was an error. ``code`` is the exception's name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Unavailable(ApiError):
    """The server cannot answer now: there are too many requests, or it has trouble of its own. Later it may."""


def server_options() -> argparse.ArgumentParser:
    """What all verbs take that speak to a server; a parent of theirs."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--endpoint-url", "--url", metavar="URL", help=f"the server ({' or '.join(URL_VARIABLES)}; {DEFAULT_URL})")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON, with the API's own names")
    return parser


def role_option(parser: argparse.ArgumentParser) -> None:
    """The parameter that all operations have."""
    parser.add_argument("--neptune-iam-role-arn", metavar="ARN", help="the role to ask under, where the server demands one")


class Client:
    """Calls one server, signing with the access key of the environment if there is one.

    Args:
        url: As in ``http://127.0.0.1:8182``.
        role: The role that calls name.
    """

    def __init__(self, url: str, *, role: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise DespinaError(f"The URL '{url}' of the server is not of the form http://host:port.")
        self._url = url
        self._host = parts.hostname
        self._port = parts.port
        self._authority = parts.netloc.rpartition("@")[2]
        self._role = role
        self._credentials = credentials()
        self._tls = _trusting(os.environ.get("AWS_CA_BUNDLE")) if parts.scheme == "https" else None

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Client":
        """The client of the server that the options or the environment name."""
        named = next((os.environ[name] for name in URL_VARIABLES if os.environ.get(name)), DEFAULT_URL)
        return cls(options.endpoint_url or named, role=getattr(options, "neptune_iam_role_arn", None))

    def call(self, method: str, *path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None) -> Any:
        """The decoded JSON answer of an operation of the Neptune Data API.

        Raises:
            ApiError: the server answered with an error.
            NoAnswer: there is no server, or it does not speak the API.
        """
        asked = {**({"neptuneIamRoleArn": self._role} if self._role and body is None else {}), **(query or {})}
        target = "/" + "/".join(quote(segment, safe="") for segment in path)
        return self._exchange(method, target + (f"?{urlencode(asked, quote_via=quote)}" if asked else ""),
                              b"" if body is None else json.dumps(body).encode(), "neptune-db")

    def invoke(self, endpoint: str, body: bytes) -> Any:
        """The decoded answer of an endpoint (InvokeEndpoint of the SageMaker runtime). Raises as ``call`` does."""
        return self._exchange("POST", f"/endpoints/{quote(endpoint, safe='')}/invocations", body, "sagemaker")

    def _exchange(self, method: str, target: str, body: bytes, service: str) -> Any:
        connection = (http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS) if self._tls is None
                      else http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_SECONDS, context=self._tls))
        headers = {"Host": self._authority, **({"Content-Type": "application/json"} if body else {})}
        if self._credentials is not None:
            headers |= sign(self._credentials, method=method, target=target, host=self._authority, body=body, service=service)
        try:
            connection.request(method, target, body=body or None, headers=headers)
            response = connection.getresponse()
            text = response.read()
        except ssl.SSLCertVerificationError as error:
            raise NoAnswer(f"The certificate of {self._url} is not trusted: {error.verify_message}. Name the authority's "
                           "certificate in AWS_CA_BUNDLE.") from None
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"There is no answer from {self._url}: {error}. Is 'despina serve' running there? "
                           "Give its address with --endpoint-url or DESPINA_URL.") from None
        finally:
            connection.close()
        return self._read(response.status, text)

    def _read(self, status: int, text: bytes) -> Any:
        try:
            answer = json.loads(text)
        except ValueError:
            raise NoAnswer(f"{self._url} does not speak the API: it answered {status} with {text[:80]!r}.") from None
        if status < 400:
            return answer
        if not isinstance(answer, dict):
            raise NoAnswer(f"{self._url} does not speak the API: it answered {status} with {text[:80]!r}.")
        code, message = str(answer.get("code")), str(answer.get("detailedMessage"))
        if code == "AccessDeniedException" and self._credentials is None:
            message += " (Requests are signed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which are not set.)"
        raise (Unavailable if status >= 500 or status == 429 else ApiError)(code, message)


def _trusting(bundle: str | None) -> ssl.SSLContext:
    """What speaks TLS to servers whose certificates lead to the authorities in this file, or to those of the system."""
    try:
        return ssl.create_default_context(cafile=bundle or None)
    except OSError as error:
        raise DespinaError(f"AWS_CA_BUNDLE is '{bundle}', which cannot be read as certificates: {error.strerror}.") from None
