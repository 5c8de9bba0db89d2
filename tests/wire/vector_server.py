"""Serves an application that verifies the signature of whatever comes, as the API does, with the published vectors' key and clock.

The vectors are of a service and a time that an ordinary server does not take. Run with the path of ``sigv4.json``, it
prints its port.
"""

import json
import sys
from pathlib import Path
from typing import Any

from despina.api.authentication import signed_request
from despina.app.http_server import listen, run_http
from despina.auth.claims import parse
from despina.auth.signing_keys import SigningKeys
from despina.auth.sigv4 import Key, hash_token, verify
from despina.core.errors import AccessDenied


def main(path: str) -> None:
    vectors = {case["name"]: case for case in json.loads(Path(path).read_text(encoding="utf-8"))}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        request = signed_request(scope, body)
        # The header says which vector it is; no signature covers it.
        context = vectors[(request.value(b"x-vector") or b"").decode()]["context"]
        given, token = context["credentials"], context["credentials"].get("token")
        key = Key(b"1", lambda: given["secret_access_key"], hash_token(token.encode()) if token else None)
        try:
            verify(parse(request), request, key, now=1440938160000, region=context["region"], service=context["service"],
                   keys=SigningKeys())
            answer = b"accepted"
        except AccessDenied as error:
            answer = b"refused: " + str(error).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
        await send({"type": "http.response.body", "body": answer})

    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    run_http(application, listener, ready=lambda: print(port, flush=True))


if __name__ == "__main__":
    main(sys.argv[1])
