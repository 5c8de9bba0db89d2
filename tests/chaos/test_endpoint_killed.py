"""Serving programs and servers are killed, and endpoints updated, while clients ask without a pause: no request fails."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from botocore.exceptions import ClientError
from tests.serving import Server, wait_for
from tests.wire.endpoints import ask, created, endpoint, runtime, serving, wait_until

NODE = {"data": {"nodes": [{"nodeId": "item-1"}]}}
CLIENTS = 16


@pytest.fixture
def served(start_server: Callable[..., Server], trained_data: Path) -> Server:
    """A server with a training job ``tr`` and its endpoint ``ep``."""
    server = start_server(environment={"DESPINA_REQUESTS_PER_SECOND": "1000000"}, data=trained_data)
    created(server, "ep")
    return server


class Load:
    """Clients that ask an endpoint again and again, and keep what was not answered as it should be."""

    def __init__(self, server: Server) -> None:
        self._expected = ask(server, "ep", NODE)
        self._client = runtime(server, max_pool_connections=CLIENTS)
        self._over = threading.Event()
        self.answered = 0
        self.wrong: list[Any] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                answer = self._client.invoke_endpoint(EndpointName="ep", Body=json.dumps(NODE))
                if json.loads(answer["Body"].read()) != self._expected:
                    self.wrong.append(answer)
            except (ClientError, OSError) as error:
                self.wrong.append(error)
            self.answered += 1

    def some(self) -> None:
        """Wait until some more were answered."""
        until = self.answered + 10 * CLIENTS
        wait_for("answers", lambda: self.answered >= until)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def load(served: Server) -> Iterator[Load]:
    with Load(served) as load:
        yield load


def kill_replicas(server: Server) -> None:
    for pid in serving(server, "ep"):
        os.kill(pid, signal.SIGKILL)


def test_a_serving_program_is_killed_under_load(served: Server, load: Load) -> None:
    for _ in range(3):
        before = set(serving(served, "ep"))
        load.some()
        kill_replicas(served)
        load.some()
        wait_for("a new replica", lambda before=before: set(serving(served, "ep")) - before)  # type: ignore[misc]
    assert load.wrong == []
    assert endpoint(served, "ep")["status"] == "InService"


def test_updates_under_load(served: Server, load: Load) -> None:
    for version, instances in ((2, 2), (3, 1), (4, 2)):
        load.some()
        served.boto3().create_ml_endpoint(id="ep", mlModelTrainingJobId="tr", update=True, instanceCount=instances)
        wait_for("the update", lambda version=version: endpoint(served, "ep")["details"]["serving"]["version"] == version)  # type: ignore[misc]
        wait_until(served, "ep", "InService")
        load.some()
    assert load.wrong == []
    wait_for("the old ones' end", lambda: len(endpoint(served, "ep")["details"]["replicas"]) == 2)


def test_the_server_is_killed_and_its_endpoints_are_there_again(served: Server) -> None:
    before, expected = serving(served, "ep"), ask(served, "ep", NODE)
    served.kill()
    served.start()
    assert endpoint(served, "ep")["status"] == "InService"
    assert ask(served, "ep", NODE) == expected
    assert serving(served, "ep") == before, "the same program goes on"


def test_server_and_serving_programs_are_killed(served: Server) -> None:
    expected = ask(served, "ep", NODE)
    served.kill()
    for pid in served.processes():
        os.kill(pid, signal.SIGKILL)
    served.start()
    assert ask(served, "ep", NODE) == expected, "the call waits for the replica that is started anew"


@pytest.mark.parametrize("moment", ["creating", "updating", "deleting"])
def test_the_server_is_killed_in_the_middle(served: Server, moment: str) -> None:
    client = served.boto3()
    if moment == "creating":
        client.create_ml_endpoint(id="other", mlModelTrainingJobId="tr")
    elif moment == "updating":
        client.create_ml_endpoint(id="ep", mlModelTrainingJobId="tr", update=True)
    else:
        client.delete_ml_endpoint(id="ep")
    served.kill()
    served.start()
    if moment == "creating":
        wait_until(served, "other", "InService")
        assert ask(served, "other", NODE) == ask(served, "ep", NODE)
    elif moment == "updating":
        wait_for("the update", lambda: endpoint(served, "ep")["details"]["serving"]["version"] == 2)
        assert ask(served, "ep", NODE)["output"]
        wait_for("the old one's end", lambda: len(endpoint(served, "ep")["details"]["replicas"]) == 1)
    else:
        wait_for("its end", lambda: served.request("GET", "/ml/endpoints/ep")[0] == 404)
        wait_for("no process", lambda: not served.processes())
