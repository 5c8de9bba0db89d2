"""The lists of jobs: what stands in them, filters, pages, questions, and that they stay up to date."""

import re

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import NewPage
from tests.browser.recorded import MARKUP, REASON, job, record
from tests.browser.sites import Site
from tests.browser.strict import Strict, check_access, sign_in

from despina.api.console.formats import duration
from despina.api.console.job_lists import JOBS_A_PAGE
from despina.core.job import Status
from despina.core.requests import StartDataProcessing

REQUEST = StartDataProcessing(input_data_s3_location="s3://bucket/export", processed_data_s3_location="s3://bucket/paged")


@pytest.fixture
def open_page(new_page: NewPage, sites: dict[str, Site]) -> Strict:
    """A page at the server that believes everybody."""
    return new_page(sites["open"])


def test_statuses_are_words_and_failures_are_quoted_as_they_are(strict: Strict) -> None:
    strict.open("/console/dataprocessing")
    page = strict.page
    for status in ("Completed", "Stopped", "Failed", "InProgress"):
        expect(page.get_by_role("table").get_by_text(status, exact=True).first).to_be_visible()
    failed = page.get_by_role("row", name="airports-failed")
    expect(failed).to_contain_text(REASON)
    expect(failed).to_contain_text(MARKUP)  # as the one who started it
    assert page.title() == "Data-processing jobs · Despina"
    expect(page.get_by_role("row", name="airports-waiting")).to_contain_text("waits for cores or memory")


def test_filters_narrow_the_list_and_are_kept(open_page: Strict) -> None:
    page = open_page.page
    open_page.open("/console/modeltraining")
    page.get_by_label("Status").select_option("Failed")
    page.get_by_label("Name contains").fill("CONTINENTS")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("rowheader")).to_have_text(["continents-failed"])
    expect(page.get_by_label("Status")).to_have_value("Failed")
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("rowheader").filter(has_text="continents-completed")).to_be_visible()
    open_page.open("/console/modeltraining?until=1999-12-31")
    expect(page.get_by_role("heading", name="No job is like that")).to_be_visible()
    open_page.open("/console/modeltraining?from=2001-01-01&status=Completed")
    expect(page.get_by_role("rowheader")).to_have_text(["tr", "continents-completed"])


def test_a_filter_that_cannot_be_read_says_so(open_page: Strict) -> None:
    open_page.open("/console/modeltraining?from=yesterday")
    expect(open_page.page.get_by_role("alert")).to_contain_text("'yesterday' cannot be read: it must be as in 2026-11-29")


def test_the_dialog_by_keyboard_alone(open_page: Strict) -> None:
    page = open_page.page
    open_page.open("/console/modeltraining?name=continents-waiting")
    button = page.get_by_role("link", name="Cancel and clean continents-waiting")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Cancel continents-waiting and delete its artefacts?")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("s3://bucket/models/")
    check_access(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("link", name="Keep it going")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).not_to_be_visible()
    expect(button).to_be_focused()


def test_the_first_key_leads_past_the_navigation(open_page: Strict) -> None:
    page = open_page.page
    open_page.open("/console/modeltraining")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name contains")).to_be_focused()


def test_a_job_that_begins_and_ends_shows_so_without_a_reload(open_page: Strict) -> None:
    site, page = open_page.site, open_page.page
    open_page.open("/console/dataprocessing?name=live-")
    expect(page.get_by_role("heading", name="No job is like that")).to_be_visible()
    page.evaluate("window.stayed = true")
    site.server.boto3().start_ml_data_processing_job(
        id="live-1", inputDataS3Location="s3://test/processed", processedDataS3Location="s3://test/again")
    expect(page.get_by_role("row", name="live-1")).to_contain_text("Failed")
    assert page.evaluate("window.stayed")


def test_focus_outlives_what_is_brought_up_to_date(open_page: Strict) -> None:
    page = open_page.page
    open_page.open("/console/modeltraining?name=continents")
    link = page.get_by_role("link", name="continents-failed")
    link.focus()
    page.locator("#jobs").evaluate("part => { part.dataset.mark = 'old' }")
    expect(page.locator("#jobs:not([data-mark])")).to_be_visible()
    expect(link).to_be_focused()


def test_the_script_and_the_server_tell_times_alike(open_page: Strict) -> None:
    open_page.open("/console/modeltraining")
    for ms in (-5, 0, 949, 9_949, 9_999, 59_499, 60_000, 3_599_600, 3_600_000, 86_399_000, 86_400_000, 1_000_000_000):
        assert open_page.page.evaluate("ms => duration(ms)", ms) == duration(ms)


def test_pages_follow_one_another(open_page: Strict, sites: dict[str, Site]) -> None:
    many = [job(REQUEST, f"paged-{n:02}", created_at=1000 * n, status=Status.COMPLETED) for n in range(JOBS_A_PAGE + 2)]
    record(sites["open"].server.data_dir, many)
    page = open_page.page
    open_page.open("/console/dataprocessing?name=paged-")
    expect(page.get_by_role("rowheader")).to_have_count(JOBS_A_PAGE)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("rowheader")).to_have_text(["paged-01", "paged-00"])
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    page.get_by_role("link", name="Newest").click()
    expect(page.get_by_role("rowheader").first).to_have_text("paged-26")


def test_everything_works_without_the_script(new_page: NewPage, sites: dict[str, Site]) -> None:
    strict = new_page(sites["open"], java_script_enabled=False)
    page = strict.page
    strict.open("/console/dataprocessing?name=airports-stopped")
    page.get_by_role("link", name="Clean airports-stopped").click()
    expect(page.get_by_role("heading", level=1, name="Clean airports-stopped?")).to_be_visible()
    page.get_by_role("link", name="Keep them").click()
    page.wait_for_url("**/console/dataprocessing?name=airports-stopped")
    page.get_by_role("link", name="Clean airports-stopped").click()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/console/dataprocessing?name=airports-stopped")
    expect(page.get_by_role("row", name="airports-stopped")).to_contain_text("Stopped")


def test_buttons_that_would_be_refused_are_not_there(new_page: NewPage, sites: dict[str, Site]) -> None:
    site = sites["guarded"]
    strict = new_page(site, signed_in=False)
    sign_in(strict, site.reader, path="/console/modeltraining")
    expect(strict.page.get_by_role("row", name="continents-waiting")).to_be_visible()
    expect(strict.page.get_by_role("link", name=re.compile("^Cancel|^Clean"))).to_have_count(0)
