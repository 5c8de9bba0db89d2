"""Who did what: from the audit log, for whom it is meant; and where nobody is known by name."""

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import NewPage
from tests.browser.sites import Site
from tests.browser.strict import Strict, check_access, sign_in

from despina.api.console.activity import ROWS
from despina.auth.audit import AuditLog, Entry

PATH = "/console/activity"


@pytest.fixture
def guarded(new_page: NewPage, sites: dict[str, Site]) -> Strict:
    """Alice's page."""
    return new_page(sites["guarded"])


def test_calls_are_told_newest_first_and_can_be_filtered(guarded: Strict, new_page: NewPage) -> None:
    page, ruth = guarded.page, new_page(guarded.site, signed_in=False)
    sign_in(ruth, guarded.site.reader, path="/console/endpoints")
    expect(ruth.page.get_by_role("heading", name="Endpoints")).to_be_visible()
    with ruth.expecting(403):
        ruth.open(PATH)
        expect(ruth.page.get_by_text("not authorized to perform: cloudtrail:LookupEvents")).to_be_visible()
    guarded.open(PATH)
    first = page.get_by_role("row").nth(1)
    expect(first).to_contain_text("ruth")
    expect(first).to_contain_text("LookupEvents")
    expect(first).to_contain_text("refused")
    expect(first).to_contain_text("AccessDeniedException: ")
    check_access(page)
    page.get_by_label("Who").fill("ruth")
    page.get_by_label("Outcome").select_option("succeeded")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("row").filter(has_text="ListMLEndpoints").first).to_contain_text("ruth")
    expect(page.get_by_role("row").filter(has_text="refused")).to_have_count(0)
    page.get_by_label("Who").fill("nobody at all")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("heading", name="No call is like that")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("heading", name="No call is like that")).to_have_count(0)  # else the next click would end this one
    page.get_by_label("Operation").select_option("ConsoleLogin")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("ConsoleLogin")


def test_pages_follow_one_another_and_lead_to_what_they_tell_of(guarded: Strict) -> None:
    log = AuditLog(guarded.site.server.data_dir / "audit")
    for number in range(ROWS + 3):
        log.write(Entry(
            event_time=f"2026-11-29T00:00:{number:02}.000Z", request_id=str(number), event_name="CancelMLModelTrainingJob",
            action="neptune-db:CancelMLModelTrainingJob", source_ip_address="127.0.0.1", status=200,
            principal="arn:aws:iam::123456789012:user/<b>zoë</b>", resource_id="tr"))
    log.close()
    page = guarded.page
    guarded.open(f"{PATH}?who=zo%C3%AB&resource=tr")
    expect(page.get_by_role("row")).to_have_count(ROWS + 1)
    expect(page.get_by_role("row").nth(1)).to_contain_text("<b>zoë</b>")
    expect(page.get_by_role("link", name="tr", exact=True).first).to_have_attribute("href", "/console/modeltraining/tr")
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("row")).to_have_count(4)
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_role("row")).to_have_count(ROWS + 1)


def test_a_filter_that_cannot_be_read_says_so(guarded: Strict) -> None:
    guarded.open(f"{PATH}?outcome=perhaps")
    expect(guarded.page.get_by_role("alert")).to_contain_text("'perhaps' is not one of succeeded, refused, failed")
    guarded.open(f"{PATH}?before=then")
    expect(guarded.page.get_by_role("alert")).to_contain_text("not one that an earlier page gave")


def test_where_nobody_is_known_jobs_and_endpoints_tell_their_own_story(new_page: NewPage, sites: dict[str, Site]) -> None:
    strict = new_page(sites["open"])
    page = strict.page
    strict.open(PATH)
    expect(page.get_by_text("Nobody is known by name here")).to_be_visible()
    expect(page.get_by_role("row", name="continents-failed")).to_contain_text("failed after 2 min")
    expect(page.get_by_role("row", name="served")).to_contain_text("InService")
    page.get_by_role("link", name="served").click()
    expect(page.get_by_role("heading", level=1, name="served")).to_be_visible()
