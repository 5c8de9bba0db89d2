"""Signing in with access keys, what a session can do, and when it ends."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import NewPage
from tests.browser.sites import Site, principal
from tests.browser.strict import Strict, check_access, cookies_of, sign_in
from tests.serving import Server

from despina.auth.audit import read
from despina.store import open_key_store


@pytest.fixture
def visitor(new_page: NewPage, sites: dict[str, Site]) -> Strict:
    """A page of somebody who has not signed in."""
    return new_page(sites["guarded"], signed_in=False)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server without a job, with TLS."""
    folder = tmp_path_factory.mktemp("empty")
    keys = principal(folder, "alice", "*")
    server = Server(folder, "--iam-auth", "--tls-self-signed").start()
    yield Site(mode="guarded", server=server, keys=keys, reader={})
    server.stop()


def disable(site: Site, key_id: str) -> None:
    store = open_key_store(site.server.data_dir / "despina.db")
    assert store.set_disabled(key_id, disabled=True)
    store.close()


def test_a_wrong_secret_is_told_and_the_right_one_leads_where_one_was_going(visitor: Strict) -> None:
    keys, page = visitor.site.keys, visitor.page
    with visitor.expecting(403):
        sign_in(visitor, {**keys, "AWS_SECRET_ACCESS_KEY": "wrong"}, path="/console/dataprocessing?status=Failed")
        expect(page.get_by_role("alert")).to_contain_text("The access key id or the secret access key is not right.")
    check_access(page)
    expect(page.get_by_label("Access key id")).to_have_value(keys["AWS_ACCESS_KEY_ID"])
    expect(page.get_by_label("Secret access key")).to_have_value("")
    page.get_by_label("Secret access key").fill(keys["AWS_SECRET_ACCESS_KEY"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/dataprocessing?status=Failed")
    expect(page.get_by_text("alice", exact=True)).to_be_visible()


@pytest.mark.parametrize(("name", "seconds", "told"), [
    ("disabled", None, "is disabled"), ("expired", -5, "is expired"), ("tokenless", 600, "is not right")])
def test_keys_that_the_api_would_refuse(visitor: Strict, name: str, seconds: int | None, told: str) -> None:
    keys = principal(visitor.site.server.data_dir, name, "*", seconds=seconds)
    if name == "disabled":
        disable(visitor.site, keys["AWS_ACCESS_KEY_ID"])
    if name == "tokenless":
        del keys["AWS_SESSION_TOKEN"]
    with visitor.expecting(403):
        sign_in(visitor, keys)
        expect(visitor.page.get_by_role("alert")).to_contain_text(told)


def test_a_temporary_key_signs_in_with_its_token_and_ends_with_it(visitor: Strict) -> None:
    sign_in(visitor, principal(visitor.site.server.data_dir, "guest", "*", seconds=600))
    expect(visitor.page.get_by_role("heading", name="Training jobs")).to_be_visible()
    [session] = [cookie for name, cookie in cookies_of(visitor.page.context).items() if name.startswith("despina-session")]
    assert (session["httpOnly"], session["sameSite"], session["path"]) == (True, "Strict", "/console")
    assert session["expires"] < time.time() + 12 * 3600 + 60


def test_an_open_page_notices_that_its_key_was_disabled(visitor: Strict) -> None:
    keys = principal(visitor.site.server.data_dir, "leaving", "*")
    sign_in(visitor, keys, path="/console/modeltraining?name=continents")
    expect(visitor.page.get_by_role("row", name="continents-failed")).to_be_visible()
    disable(visitor.site, keys["AWS_ACCESS_KEY_ID"])
    expect(visitor.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_who_may_not_see_a_page_is_told_what_is_missing(visitor: Strict) -> None:
    sign_in(visitor, principal(visitor.site.server.data_dir, "lena", "neptune-db:ListMLModelTrainingJobs"))
    expect(visitor.page.get_by_role("heading", name="Training jobs")).to_be_visible()
    with visitor.expecting(403):
        visitor.page.get_by_role("link", name="Data processing").click()
        expect(visitor.page.get_by_role("main")).to_contain_text(
            "arn:aws:iam::123456789012:user/lena is not authorized to perform: neptune-db:ListMLDataProcessingJobs")
    check_access(visitor.page)
    visitor.page.get_by_role("link", name="Training").click()
    expect(visitor.page.get_by_role("heading", name="Training jobs")).to_be_visible()


def test_what_is_done_in_the_console_is_in_the_audit_log(visitor: Strict) -> None:
    data = visitor.site.server.data_dir
    keys = principal(data, "audited", "*")
    with visitor.expecting(403):
        sign_in(visitor, {**keys, "AWS_SECRET_ACCESS_KEY": "wrong"})
        expect(visitor.page.get_by_role("alert")).to_be_visible()
    sign_in(visitor, keys, path="/console/modeltraining?name=continents-waiting")
    visitor.page.get_by_role("link", name="Cancel continents-waiting", exact=True).click()
    expect(visitor.page.get_by_role("dialog")).to_be_visible()
    entries = [entry for entry in read(data / "audit") if entry.access_key_id == keys["AWS_ACCESS_KEY_ID"]]
    told = [(entry.event_name, entry.status, entry.principal, entry.resource_id) for entry in entries]
    arn = "arn:aws:iam::123456789012:user/audited"
    assert told[:3] == [("ConsoleLogin", 403, None, None), ("ConsoleLogin", 303, arn, None),
                        ("ListMLModelTrainingJobs", 200, arn, None)]
    assert ("GetMLModelTrainingJob", 200, arn, "continents-waiting") in told
    assert keys["AWS_SECRET_ACCESS_KEY"] not in (data / "audit" / "audit.jsonl").read_text(encoding="utf-8")


def test_the_first_job_is_explained_and_a_session_outlives_a_restart(new_page: NewPage, empty: Site) -> None:
    strict = new_page(empty, signed_in=False, ignore_https_errors=True)
    sign_in(strict, empty.keys)
    page = strict.page
    expect(page.get_by_role("heading", name="No training job yet")).to_be_visible()
    expect(page.get_by_role("region", name="Python that starts a job")).to_contain_text(f'endpoint_url="{empty.url}"')
    check_access(page)
    assert all(cookie["secure"] for cookie in cookies_of(page.context).values())
    session = cookies_of(page.context)
    page.goto("about:blank")
    empty.server.stop()
    empty.server.start()
    [value] = [cookie["value"] for name, cookie in session.items() if name.startswith("despina-session")]
    port = empty.url.rpartition(":")[2]
    again = new_page(empty, signed_in=False, ignore_https_errors=True)
    again.page.context.add_cookies([{"name": f"despina-session-{port}", "value": value, "url": f"{empty.url}/console"}])
    again.open("/console/dataprocessing")
    expect(again.page.get_by_role("heading", name="No data-processing job yet")).to_be_visible()
