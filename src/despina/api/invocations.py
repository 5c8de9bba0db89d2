"""InvokeEndpoint of the SageMaker runtime: finds a replica of the endpoint, wakes it if need be, and has it answer.

Source: Amazon SageMaker API reference, "InvokeEndpoint". What the body may say is for the serving program (``docs/inference.md``).
"""

import asyncio
import time
from functools import partial

from despina.api.metrics import EndpointMetrics
from despina.api.reads import Reads
from despina.api.replicas import ReplicaGone, Replicas
from despina.api.service import EndpointService
from despina.core.endpoint import Endpoint, EndpointStatus
from despina.core.errors import EndpointNotReady, EndpointUnavailable, ModelError, NoSuchEndpoint

MAX_INVOCATION_BYTES = 6 * 2**20
"""Of a request's body (Neptune user guide, "Neptune ML limitations")."""
WAIT_SECONDS = 20.0
"""How long a request waits for a replica: a sleeping endpoint takes a second to wake, and so does a new replica."""
_LOOK_SECONDS = 0.02


class Invoker:
    """Invokes endpoints."""

    def __init__(self, endpoints: EndpointService, metrics: EndpointMetrics, reads: Reads | None = None) -> None:
        """``reads``: how the endpoints are read where that means waiting."""
        self._endpoints, self._metrics, self._reads = endpoints, metrics, reads
        self._replicas = Replicas(endpoints)
        self._seen: dict[str, Endpoint | None] = {}

    async def find(self, name: str) -> Endpoint | None:
        """The endpoint with this resource name or id. The store is asked once in a turn of the event loop, whoever asks in it."""
        if self._reads is not None:
            return await self._reads.get(("endpoint", name), partial(self._endpoints.find, name))
        if not self._seen:
            asyncio.get_running_loop().call_soon(self._seen.clear)
        if name not in self._seen:
            self._seen[name] = self._endpoints.find(name)
        return self._seen[name]

    async def invoke(self, name: str, body: bytes) -> tuple[bytes, str]:
        """The answer's body, and the name of the variant that gave it.

        Args:
            name: The endpoint's resource name, or its id.
            body: Of the request.

        Raises:
            NoSuchEndpoint, EndpointNotReady, EndpointUnavailable: it cannot be invoked.
            ModelError: the serving program refuses the request, or has failed.
        """
        endpoint = await self._found(name)
        measured = self._metrics.of(endpoint.id)
        begun, status = measured.begin(), 0
        try:
            status, answer = await self._ask(name, endpoint, body)
        finally:
            measured.end(begun, answered=status == 200)
        if status != 200:
            raise ModelError(answer.decode("utf-8", "replace"), status=status)
        return answer, f"version-{endpoint.serving.number if endpoint.serving else 0}"

    def close(self) -> None:
        """End all connections to replicas."""
        self._replicas.close()

    async def _ask(self, name: str, endpoint: Endpoint, body: bytes) -> tuple[int, bytes]:
        until = 0.0
        while True:
            connection = await self._replicas.choose(endpoint.answering)
            if connection is not None:
                try:
                    return await connection.ask(body)
                except ReplicaGone:
                    pass  # asked again: inference changes nothing
            until = until or time.monotonic() + WAIT_SECONDS
            if time.monotonic() >= until:
                raise EndpointUnavailable(f"None of the replicas of the endpoint '{name}' answered within {WAIT_SECONDS:g} s. Its "
                                          "details and its log say why.")
            if endpoint.is_asleep:
                await asyncio.to_thread(self._endpoints.wake, endpoint.id)
            await asyncio.sleep(_LOOK_SECONDS)
            endpoint = await self._found(name)

    async def _found(self, name: str) -> Endpoint:
        """The endpoint, if it may answer."""
        endpoint = await self.find(name)
        if endpoint is None:
            raise NoSuchEndpoint(f"Endpoint {name[:100]} was not found: it must be the name of an endpoint, or its id.")
        if endpoint.serving is None and endpoint.status is EndpointStatus.CREATING:
            raise EndpointNotReady(f"The endpoint '{name}' is {endpoint.status}: it does not answer yet.")
        if endpoint.serving is None or endpoint.deleting:
            why = f" ({endpoint.failure_reason})" if endpoint.failure_reason else ""
            raise NoSuchEndpoint(f"The endpoint '{name}' is {endpoint.status}{why}: it must be InService.")
        return endpoint
