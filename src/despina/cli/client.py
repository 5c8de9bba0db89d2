"""The HTTP API as the command line calls it."""

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from despina.core.errors import DespinaError

TIMEOUT_SECONDS = 60


class ApiError(DespinaError):
    """The server's answer was an error. ``code`` is the exception's name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Client:
    """Calls one server.

    Args:
        url: As in ``http://127.0.0.1:8182``.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise DespinaError(f"The URL '{url}' of the server is not of the form http://host:port.")
        self._url = url
        self._https = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port

    def call(self, method: str, *path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None) -> Any:
        """The decoded JSON answer to one request.

        Raises:
            ApiError: the server answered with an error.
            DespinaError: there is no server, or it does not speak the API.
        """
        target = "/" + "/".join(quote(segment, safe="") for segment in path)
        if query:
            target += "?" + urlencode(query)
        factory = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
        connection = factory(self._host, self._port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, target, body=None if body is None else json.dumps(body),
                               headers={} if body is None else {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise DespinaError(f"There is no answer from {self._url}: {error}. Is 'despina serve' running there? "
                               "Give its address with --url or DESPINA_URL.") from None
        finally:
            connection.close()
        try:
            answer = json.loads(text)
        except ValueError:
            raise DespinaError(f"{self._url} does not speak the API: it answered {response.status} with {text[:80]!r}.") from None
        if response.status >= 400:
            raise ApiError(str(answer.get("code")), str(answer.get("detailedMessage")))
        return answer
