"""The servers that the browser visits: one that believes everybody, one that people sign in to; both with the same jobs."""

import http.client
import json
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from tests.browser.recorded import of_every_status, record
from tests.serving import PATIENCE_SECONDS, Server, wait_for
from tests.wire.guarded import Keys, client

from despina.auth.issuing import issue
from despina.auth.secrets import load_box
from despina.core import plans
from despina.core.job import Job, JobKind
from despina.core.principal import Principal
from despina.engine.ending import end_runs
from despina.store import open_key_store, open_store

MODES = ("open", "guarded")
SERVED = "served"
"""The endpoint that every site has, in service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A server with jobs of every status; a completed data-processing job ``dp`` and training job ``tr``, and the endpoint that
    serves its model, are real."""

    mode: str
    server: Server
    keys: Keys
    """Of Alice, who may do everything; empty where nobody signs in."""
    reader: Keys
    """Of Ruth, who may look at jobs and do nothing."""
    session: tuple[str, str] | None = None
    """The cookie of Alice, who has signed in: its name and its value; None where nobody signs in."""

    @property
    def url(self) -> str:
        return self.server.url


def start_site(mode: str, folder: Path, trained: Path) -> Site:
    """A server on a copy of the data of another one that has trained."""
    shutil.copytree(trained, folder)
    jobs = of_every_status(time.time_ns() // 1_000_000)
    record(folder, jobs)
    _give_artefacts(folder, next(job for job in jobs if job.id == "moved-completed"))
    alice = {} if mode == "open" else principal(folder, "alice", "*")
    ruth = {} if mode == "open" else principal(folder, "ruth", "neptune-db:Get*", "neptune-db:List*")
    server = Server(folder, *(["--iam-auth"] if mode == "guarded" else [])).start()
    neptune = client(server, alice) if alice else server.boto3()
    neptune.create_ml_endpoint(id=SERVED, mlModelTrainingJobId="tr")
    wait_for("the endpoint", lambda: neptune.get_ml_endpoint(id=SERVED)["status"] == "InService")
    return Site(mode=mode, server=server, keys=alice, reader=ruth, session=signed_in(server.url, alice) if alice else None)


def signed_in(url: str, keys: Keys) -> tuple[str, str]:
    """The cookie of a session that was begun with these keys."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_SECONDS)
    with closing(connection):
        connection.request("GET", "/console/sign-in")
        response = connection.getresponse()
        response.read()
        visitor = (response.getheader("Set-Cookie") or "").partition(";")[0]
        form = {"token": visitor.partition("=")[2], "key_id": keys["AWS_ACCESS_KEY_ID"], "secret": keys["AWS_SECRET_ACCESS_KEY"]}
        connection.request("POST", "/console/sign-in", urlencode(form), {"Cookie": visitor})
        response = connection.getresponse()
        assert response.status == 303, response.read()
        name, _, value = (response.getheader("Set-Cookie") or "").partition(";")[0].partition("=")
        return name, value


def _give_artefacts(data: Path, job: Job) -> None:
    """Put the artefacts of the training job ``tr`` where a recorded job would have its own."""
    store = open_store(data / "despina.db")
    trained = store.get(JobKind.MODEL_TRAINING, "tr")
    store.close()
    assert trained is not None
    source, target = (data / "s3" / plans.output_location(one).removeprefix("s3://") for one in (trained, job))
    shutil.copytree(source, target)


def end_site(site: Site) -> None:
    """End the server, and the endpoints that outlive it."""
    site.server.stop()
    end_runs(site.server.data_dir / "runs")


def principal(data: Path, name: str, *actions: str, seconds: int | None = None) -> Keys:
    """A principal who may do this, and an access key of his; ``seconds``: how long it holds, None: for ever."""
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    now = time.time_ns() // 1_000_000
    store = open_key_store(data / "despina.db")
    store.put_principal(Principal(name=name, arn=f"arn:aws:iam::123456789012:user/{name}", policies=(json.dumps(policy),)))
    issued = issue(name, load_box(data, {}), now=now, seconds=seconds)
    store.add_key(issued.key)
    store.close()
    token = {"AWS_SESSION_TOKEN": issued.token} if issued.token else {}
    return {"AWS_ACCESS_KEY_ID": issued.key.id, "AWS_SECRET_ACCESS_KEY": issued.secret, **token}
