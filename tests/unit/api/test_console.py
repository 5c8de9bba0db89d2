"""The edge of the console: limits, what is switched off, failures of ours, paths. What pages show: ``tests/browser``."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.unit.api.fakes import NOW, STORE_BROKEN, FakeEndpoints, FakeJobs, training_job, whole

from despina.api.asgi import Api
from despina.api.console.page import ConsoleRequest, Page, Reply
from despina.api.console.table import PAGES, Table
from despina.api.scope import Message
from despina.api.service import ControlPlane
from despina.api.settings import ApiSettings
from despina.auth.audit import AuditLog, read
from despina.auth.gate import Gate
from despina.auth.issuing import issue
from despina.auth.principals import Principals
from despina.auth.secrets import SecretBox
from despina.auth.sessions import Sessions
from despina.core.names import Cluster
from despina.core.principal import Principal
from despina.core.roles import ParameterGroup
from despina.store import open_key_store

BOX = SecretBox(b"k" * 32, "a test")
EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
PATIENCE_SECONDS = 20


class FixedClock:
    def now(self) -> int:
        return NOW


@dataclass(frozen=True)
class Shown:
    status: int
    headers: dict[str, str]
    text: str


class Browser:
    """Asks an application for pages, and keeps its cookies."""

    def __init__(self, jobs: FakeJobs | None = None, *, guarded: bool = False, audit: AuditLog | None = None,
                 **settings: Any) -> None:
        self.cookies: dict[str, str] = {}
        gate = sessions = None
        if guarded:
            store = open_key_store(":memory:")
            store.put_principal(Principal(name="alice", arn="arn:aws:iam::123456789012:user/alice", policies=(EVERYTHING,)))
            self.issued = issue("alice", BOX, now=NOW)
            store.add_key(self.issued.key)
            gate = Gate(principals=Principals(store), open_box=lambda: BOX, cluster=Cluster(), clock=FixedClock())
            sessions = Sessions(lambda: BOX)
        self._api = Api(ControlPlane(jobs or FakeJobs(), FakeEndpoints()), settings=ApiSettings(**settings), cluster=Cluster(),
                        gate=gate, sessions=sessions, audit=audit, clock=lambda: 0.0)

    def ask(self, method: str, target: str, *, form: dict[str, str] | None = None, address: str = "127.0.0.1",
            etag: str = "") -> Shown:
        return asyncio.run(self._ask(method, target, urlencode(form or {}).encode(), address, etag))

    def sign_in(self, secret: str, address: str = "127.0.0.1") -> Shown:
        self.cookies.setdefault("despina-visitor-8182", "visitor")
        return self.ask("POST", "/console/sign-in", address=address,
                        form={"token": "visitor", "key_id": self.issued.key.id, "secret": secret})

    async def _ask(self, method: str, target: str, body: bytes, address: str, etag: str) -> Shown:
        path, _, query = target.encode().partition(b"?")
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        scope = {"type": "http", "method": method, "scheme": "http", "raw_path": path, "path": path.decode(), "query_string": query,
                 "client": (address, 50_000), "headers": [(b"host", b"localhost:8182"), (b"cookie", cookies.encode()),
                                                           *([(b"if-none-match", etag.encode())] if etag else [])]}
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._api(scope, whole(body), send)
        start, end = sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        if "set-cookie" in headers:
            name, _, value = headers["set-cookie"].partition(";")[0].partition("=")
            self.cookies[name] = value
        return Shown(start["status"], headers, end["body"].decode())


def test_wrong_secrets_count_for_the_address_that_they_come_from() -> None:
    browser = Browser(guarded=True, requests_per_second=3)
    assert [browser.sign_in("wrong").status for _ in range(5)] == [403, 403, 403, 429, 429]
    refused = browser.sign_in(browser.issued.secret)
    assert refused.status == 429
    assert refused.headers["retry-after"] == "1"
    assert "despina-session-8182" not in browser.cookies
    assert browser.sign_in(browser.issued.secret, address="192.0.2.7").status == 303
    assert "despina-session-8182" in browser.cookies


def test_made_up_sessions_count_for_the_address_that_they_come_from() -> None:
    browser = Browser(guarded=True, requests_per_second=3)
    browser.sign_in(browser.issued.secret, address="192.0.2.7")
    browser.cookies["despina-session-8182"] = browser.cookies["despina-session-8182"][:-3] + "AAA"
    assert [browser.ask("GET", "/console/modeltraining").status for _ in range(5)] == [303, 303, 303, 429, 429]


def test_who_has_signed_in_has_the_limit_of_his_principal() -> None:
    browser = Browser(guarded=True, requests_per_second=3)
    browser.sign_in(browser.issued.secret, address="192.0.2.7")
    assert [browser.ask("GET", "/console/modeltraining").status for _ in range(4)] == [200, 200, 200, 429]


def test_what_is_switched_off_says_so() -> None:
    shown = Browser(ml_enabled=False).ask("GET", "/console/modeltraining")
    assert (shown.status, shown.headers["x-amzn-errortype"]) == (400, "UnsupportedOperationException")
    assert "the setting cluster.ml_enabled is false" in shown.text


def test_a_failure_of_ours_has_a_page_with_the_id_that_the_log_has(caplog: pytest.LogCaptureFixture) -> None:
    jobs = FakeJobs()
    jobs.broken = STORE_BROKEN
    with caplog.at_level(logging.ERROR, "despina.api"):
        shown = Browser(jobs).ask("GET", "/console/modeltraining")
    assert shown.status == 500
    request_id = shown.headers["x-amzn-requestid"]
    assert f"<code>{request_id}</code>" in shown.text
    assert "the disk is gone" not in shown.text
    assert any(request_id in record.getMessage() for record in caplog.records)


def test_a_job_that_has_ended_meanwhile_is_not_cancelled() -> None:
    jobs = FakeJobs()
    jobs.add(training_job())
    browser = Browser(jobs)
    path = "/console/modeltraining/tr-1/cancel"
    assert "Cancel tr-1?" in browser.ask("GET", path).text
    token = browser.cookies["despina-visitor-8182"]
    shown = browser.ask("POST", path, form={"token": token, "clean": "true", "back": "/console/modeltraining?name=tr"})
    assert (shown.status, shown.headers["location"]) == (303, "/console/modeltraining?name=tr")
    [job] = jobs.jobs.values()
    assert (job.stop_requested, job.clean) == (True, True)
    assert browser.ask("POST", path.replace("tr-1", "tr-2"), form={"token": token}).status == 404


def test_what_has_not_changed_is_sent_once_and_told_once(tmp_path: Path) -> None:
    browser = Browser(guarded=True, audit=AuditLog(tmp_path))
    browser.sign_in(browser.issued.secret)
    first = browser.ask("GET", "/console/modeltraining?fragment=live")
    assert (first.status, "No training job yet" in first.text) == (200, True)
    again = browser.ask("GET", "/console/modeltraining?fragment=live", etag=first.headers["etag"])
    assert (again.status, again.text) == (304, "")
    told = [(entry.event_name, entry.status) for entry in read(tmp_path)]
    assert told == [("ConsoleLogin", 303), ("ListMLModelTrainingJobs", 200)]


def test_where_a_role_must_be_named_the_question_asks_for_it() -> None:
    jobs = FakeJobs()
    jobs.add(training_job())
    roles = ("arn:aws:iam::123456789012:role/A", "arn:aws:iam::123456789012:role/B")
    path = "/console/modeltraining/tr-1/cancel"
    text = Browser(jobs, parameter_group=ParameterGroup(roles=roles)).ask("GET", path).text
    assert [f"<option>{role}</option>" in text for role in roles] == [True, True]
    assert "<select" not in Browser(jobs, parameter_group=ParameterGroup(roles=roles, default=roles[0])).ask("GET", path).text


@pytest.mark.parametrize("path", ["/console/", "/consolex", "/console/x", "/console//modeltraining", "/console/modeltraining/a/b/c",
                                  "/console/static/none.css", "/console/static/../page.py", "/console/modeltraining//cancel"])
def test_paths_that_are_none(path: str) -> None:
    shown = Browser().ask("GET", path)
    assert shown.status == (303 if path == "/console/" else 404)
    if path == "/consolex":
        assert shown.headers["content-type"] == "application/json"


def test_fixed_segments_come_before_variables() -> None:
    def handler(request: ConsoleRequest) -> Reply:
        return request.redirect("/console")

    by_id, fixed = Page("A", "GET", "/console/a/{id}", None, handler), Page("B", "GET", "/console/a/new", None, handler)
    table = Table((by_id, fixed))
    assert table.find("/console/a/new") == ({"GET": fixed}, {})
    assert table.find("/console/a/a%2Fb%20c") == ({"GET": by_id}, {"id": "a/b c"})
    assert table.find("/console/a") == (None, {})


def test_no_two_rows_are_the_same_and_all_have_an_action_or_a_reason() -> None:
    assert len({(page.method, page.path) for page in PAGES}) == len(PAGES)
    without = {(page.method, page.path) for page in PAGES if page.action is None}
    assert without == {("GET", "/console"), ("GET", "/console/sign-in"), ("POST", "/console/sign-out")}
