"""What other sites cannot do: requests as they would come, put on the wire by hand."""

import http.client
import re
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import BrowserContext
from tests.browser.conftest import NewPage
from tests.browser.sites import SERVED, Site, principal, signed_in
from tests.browser.strict import cookies_of, sign_in
from tests.serving import PATIENCE_SECONDS

JOB = "/console/modeltraining/continents-waiting/cancel"
REFUSED = "Nothing was done|nothing was done"
Answer = tuple[int, http.client.HTTPMessage, str]


def ask(site: Site, method: str, target: str, *, form: dict[str, str] | None = None, **headers: str) -> Answer:
    """A request with these headers, whose names have underscores for hyphens."""
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=PATIENCE_SECONDS)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    body = None if form is None else urlencode(form)
    if body is not None:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request(method, target, body, sent)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


@pytest.fixture
def visited(new_page: NewPage, site: Site) -> tuple[str, str]:
    """The cookies of a browser that has opened the question, as a header, and the token of its form."""
    strict = new_page(site)
    strict.open(JOB)
    token = strict.page.locator("input[name=token]").last.input_value()
    return cookie_header(strict.page.context), token


def cookie_header(context: BrowserContext) -> str:
    return "; ".join(f"{name}={cookie['value']}" for name, cookie in cookies_of(context).items())


def test_a_form_of_another_site_does_nothing(site: Site, visited: tuple[str, str]) -> None:
    cookies, token = visited
    forged: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {"Cookie": cookies}),
        ({"token": "x" * 32}, {"Cookie": cookies}),
        ({"token": token}, {}),
        ({"token": token}, {"Cookie": cookies, "Origin": "https://other.example"}),
        ({"token": token}, {"Cookie": cookies, "Origin": "null"}),
        ({"token": token}, {"Cookie": cookies, "Sec_Fetch_Site": "cross-site"}),
        ({"token": token}, {"Cookie": cookies, "Sec_Fetch_Site": "same-site"}),
    ]
    for form, headers in forged:
        status, _, text = ask(site, "POST", JOB, form=form, **headers)
        assert status == 403, (form, headers)
        assert re.search(REFUSED, text), (form, headers)
    assert ask(site, "GET", f"{JOB}?clean=true", Cookie=cookies)[0] == 200
    _, _, row = ask(site, "GET", "/console/modeltraining?name=continents-waiting&fragment=live", Cookie=cookies)
    assert "InProgress" in row


def test_the_token_of_one_browser_is_of_no_use_in_another(site: Site, visited: tuple[str, str], new_page: NewPage) -> None:
    other = new_page(site, signed_in=False)
    if site.mode == "guarded":
        sign_in(other, site.keys)
        other.page.get_by_role("heading", name="Training jobs").wait_for()
    else:
        other.open("/console")
    assert ask(site, "POST", JOB, form={"token": visited[1]}, Cookie=cookie_header(other.page.context))[0] == 403


def test_a_name_that_is_made_to_lead_here_is_refused_where_nobody_signs_in(sites: dict[str, Site]) -> None:
    site = sites["open"]
    port = urlsplit(site.url).port
    for host in ("other.example", "localhost.other.example", f"127.0.0.1.other.example:{port}", "other.example:80:80", "[::1", ""):
        status, _, text = ask(site, "GET", "/console/modeltraining", Host=host)
        assert status in {400, 403}, host
        assert "continents" not in text
    for host in ("localhost", f"localhost:{port}", "console.localhost", "127.0.0.1", "[::1]:8182", "192.168.1.7", "LOCALHOST."):
        assert ask(site, "GET", "/console/modeltraining", Host=host)[0] == 200, host
    status, headers, _ = ask(sites["guarded"], "GET", "/console/modeltraining", Host="other.example")
    assert (status, headers["Location"]) == (303, "/console/sign-in?next=%2Fconsole%2Fmodeltraining")


@pytest.mark.parametrize("target", ["https://other.example/", "//other.example", "/\\other.example", "/console/../ml",
                                    "/console/%2E%2e/ml", "javascript:1", "/consolecopy", "/console/\r\nSet-Cookie: a=b"])
def test_nobody_is_sent_elsewhere_after_signing_in(sites: dict[str, Site], target: str) -> None:
    site = sites["guarded"]
    _, headers, text = ask(site, "GET", f"/console/sign-in?{urlencode({'next': target})}")
    cookie = headers["Set-Cookie"].partition(";")[0]
    form = {"token": cookie.partition("=")[2], "key_id": site.keys["AWS_ACCESS_KEY_ID"],
            "secret": site.keys["AWS_SECRET_ACCESS_KEY"], "next": target}
    assert form["token"] in text
    status, headers, _ = ask(site, "POST", "/console/sign-in", form=form, Cookie=cookie)
    assert status == 303
    assert headers["Location"] == "/console"


def test_sessions_cannot_be_made_up(sites: dict[str, Site], new_page: NewPage) -> None:
    site = sites["guarded"]
    strict = new_page(site)
    strict.open("/console/modeltraining")
    [(name, cookie)] = [item for item in cookies_of(strict.page.context).items() if item[0].startswith("despina-session")]
    key, until, token, seal = cookie["value"].split(".")
    assert ask(site, "GET", "/console/modeltraining", Cookie=f"{name}={key}.{until}.{token}.{seal}")[0] == 200
    forgeries = [f"{key}.{int(until) + 1}.{token}.{seal}", f"{key}.{until}.{token[::-1]}.{seal}",
                 f"{key}.{until}.{token}.{'A' * 43}", f"QUtJQQ.{until}.{token}.{seal}", "", "a.b.c.d",
                 f"é.{until}.{token}.{seal}".encode().decode("latin-1")]
    for forged in forgeries:
        status, headers, _ = ask(site, "GET", "/console/modeltraining", Cookie=f"{name}={forged}")
        assert (status, headers["Location"]) == (303, "/console/sign-in?next=%2Fconsole%2Fmodeltraining"), forged


def test_every_answer_says_what_a_page_may_load(site: Site) -> None:
    page = ask(site, "GET", "/console/sign-in")
    style, script = re.findall(r'(?:href|src)="(/console/static/console[^"]*)"', page[2])
    answers = [page, ask(site, "GET", "/console"), ask(site, "GET", "/console/nowhere"), ask(site, "GET", style),
               ask(site, "GET", script), ask(site, "POST", "/console"), ask(site, "DELETE", "/console/sign-in")]
    assert [status for status, _, _ in answers] == [200, 303, 404, 200, 200, 405, 405]
    for _, headers, _ in answers:
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
    assert answers[0][1]["Cache-Control"] == "no-store"
    assert answers[3][1]["Cache-Control"] == "public, max-age=31536000, immutable"
    assert ask(site, "GET", style.replace("console-", "console-0"))[0] == 404


def test_what_has_not_changed_is_not_sent_again(sites: dict[str, Site]) -> None:
    target = "/console/modeltraining?fragment=live&status=Completed"
    _, headers, text = ask(sites["open"], "GET", target)
    assert "continents-completed" in text
    assert "<html" not in text
    visitor = headers["Set-Cookie"].partition(";")[0]
    status, _, text = ask(sites["open"], "GET", target, If_None_Match=headers["ETag"], Cookie=visitor)
    assert (status, text) == (304, "")


def test_a_link_on_another_site_leads_in_although_its_browser_kept_the_cookie_back(sites: dict[str, Site]) -> None:
    site, target = sites["guarded"], "/console/modeltraining?name=a&status=Failed"
    status, headers, text = ask(site, "GET", target, Sec_Fetch_Site="cross-site")
    assert status == 200
    assert '<meta http-equiv="refresh" content="0;url=/console/modeltraining?name=a&amp;status=Failed">' in text
    assert "continents" not in text
    assert "despina-session" not in str(headers)
    assert ask(site, "GET", target, Sec_Fetch_Site="same-origin")[0] == 303


def test_a_form_about_what_is_not_there_ends_in_a_page(site: Site, visited: tuple[str, str]) -> None:
    cookies, token = visited
    status, headers, text = ask(site, "POST", "/console/modeltraining/nowhere/endpoint", form={"token": token}, Cookie=cookies,
                                Origin=site.url)
    assert status == 400
    assert "text/html" in headers["Content-Type"]
    assert "BadRequestException" in text


@pytest.mark.parametrize(("path", "form"), [
    ("/console/modeltraining/tr/endpoint", {"endpoint": "no id!"}),
    (f"/console/endpoints/{SERVED}", {"node": "nowhere"}),
    (f"/console/endpoints/{SERVED}/update", {"job": "modeltraining/nowhere"}),
])
def test_who_may_do_something_but_not_look_is_shown_what_was_wrong_and_nothing_more(
        sites: dict[str, Site], path: str, form: dict[str, str]) -> None:
    site = sites["guarded"]
    blind = principal(site.server.data_dir, "blind", "neptune-db:CreateMLEndpoint", "sagemaker:InvokeEndpoint")
    name, value = signed_in(site.url, blind)
    status, _, text = ask(site, "POST", path, form={"token": value.split(".")[2], **form}, Cookie=f"{name}={value}",
                          Origin=site.url)
    assert 400 <= status < 500
    assert "Exception" in text or "Error" in text
    assert "s3://" not in text
    assert "Replicas" not in text
    assert "Trials" not in text
