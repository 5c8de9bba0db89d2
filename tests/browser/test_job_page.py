"""The page of one job, over jobs that really ran."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import NewPage
from tests.browser.showcase import EPOCHS, FOR_EVER, show, start, written
from tests.browser.sites import Site
from tests.browser.strict import Strict, check_access, sign_in


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, trained_data: Path) -> Iterator[Site]:
    site = show(tmp_path_factory.mktemp("showcase"), trained_data)
    yield site
    site.server.stop()


@pytest.fixture
def visit(new_page: NewPage, shown: Site) -> Strict:
    return new_page(shown)


def tile(page: Page, name: str) -> str:
    return page.locator(".tiles div").filter(has=page.get_by_text(name, exact=True)).get_by_role("definition").inner_text()


def test_a_training_s_result_curves_and_trials(visit: Strict) -> None:
    server, page = visit.site.server, visit.page
    visit.open("/console/modeltraining/air-1")
    report, tested = written(server, "modeltraining", "air-1", "training-report.json"), written(
        server, "modeltraining", "air-1", "test_metrics_info.json")
    expect(page.get_by_role("heading", level=1)).to_have_text("air-1")
    assert tile(page, "Test acc").startswith(f"{tested['acc']:.4f}")
    assert f"{report['floor']['metrics']['test']['acc']:.4f} without the graph (majority)" in tile(page, "Test acc")
    assert tile(page, "Trials ended") == "2 of 2"
    details = server.details("modeltraining", "air-1")["details"]
    best = max((run for run in details["runs"] if run["kind"] == "trial"), key=lambda run: float(run["objective"]))
    trials = page.get_by_role("table", name="Trials, their hyperparameters")
    expect(trials.get_by_role("row", name="best")).to_contain_text(f"Curves of trial {best['number'] + 1} best")
    expect(trials.get_by_role("row", name="best")).to_contain_text(f"{best['objective']:.4f}")
    expect(trials.get_by_role("columnheader", name="lr (differs)")).to_be_visible()
    for chart in ("acc on the validation part", "Training loss"):
        expect(page.get_by_role("img", name=chart)).to_be_visible()
        page.get_by_text(f"Numbers of {chart}").click()
    losses = page.get_by_role("table", name="Training loss")
    expect(losses.get_by_role("row")).to_have_count(1 + EPOCHS)
    expect(losses.get_by_role("row").last).to_contain_text(f"{report['curve'][-1]['loss']:.4f}")
    expect(page.get_by_role("row", name=f"EU {tested['classes']['EU']['precision']:.4f}")).to_be_visible()
    expect(page.get_by_role("link", name="air", exact=True)).to_have_attribute("href", "/console/dataprocessing/air")
    check_access(page)


def test_trials_are_sorted_and_looked_at_one_by_one_without_the_script(new_page: NewPage, shown: Site) -> None:
    strict = new_page(shown, java_script_enabled=False)
    page = strict.page
    strict.open("/console/modeltraining/air-1")
    rows = page.get_by_role("table", name="Trials, their").get_by_role("rowheader")
    expect(rows).to_have_text([re.compile("trial 1"), re.compile("trial 2")])
    for order, name in (("descending", r"trial \d best"), ("ascending", r"trial \d$")):
        page.get_by_role("columnheader", name="acc").get_by_role("link").click()
        expect(page.get_by_role("columnheader", name="acc")).to_have_attribute("aria-sort", order)
        expect(rows.first).to_have_text(re.compile(name))
    page.get_by_role("link", name="Curves of trial 2").click()
    expect(page.get_by_role("heading", name="Curves: trial 2")).to_be_visible()
    expect(page.get_by_role("columnheader", name="acc")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("link", name="Logarithmic loss").click()
    expect(page.locator("#chart-loss-desc")).to_have_text(re.compile("on a logarithmic scale, 2 series. Trial 2.* goes from"))
    page.get_by_role("link", name="All trials").click()
    expect(page.get_by_role("heading", name="Curves", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Linear loss")).to_be_visible()
    page.get_by_label("Run").select_option("strategy")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Log of strategy")).to_be_visible()
    expect(page.get_by_role("link", name="Linear loss")).to_be_visible()


def test_a_failure_s_cause_comes_first_with_every_finding(visit: Strict) -> None:
    server, page = visit.site.server, visit.page
    job = server.wait_until_ended("dataprocessing", "bad-rows")
    visit.open("/console/dataprocessing/bad-rows")
    expect(page.get_by_role("main").get_by_role("heading", level=2).first).to_have_text("Why it failed")
    expect(page.get_by_role("region", name="Why it failed").get_by_role("paragraph")).to_have_text(job["details"]["failureReason"])
    findings = written(server, "dataprocessing", "bad-rows", "processing-report.json")["findings"]
    rows = page.get_by_role("region", name="What is wrong in the export").get_by_role("row")
    assert len(findings) == 2
    expect(rows).to_have_count(1 + len(findings))
    for row, finding in enumerate(findings, start=1):
        for part in ("file", "column", "value", "text", "name"):
            expect(rows.nth(row)).to_contain_text(finding[part])
        expect(rows.nth(row).get_by_role("cell").nth(1)).to_have_text(str(finding["line"]))
    check_access(page)


def test_what_the_data_are_and_what_was_expected(visit: Strict) -> None:
    page, report = visit.page, written(visit.site.server, "dataprocessing", "air", "processing-report.json")
    visit.open("/console/dataprocessing/air")
    assert tile(page, "Nodes").startswith(f"{report['nodes'][0]['count']:,}")
    types = page.get_by_role("table", name="Node and edge types")
    expect(types.get_by_role("row", name="(airport)–route→(airport)")).to_contain_text("dist")
    classes = report["labels"][0]["classes"]
    shares = " ".join(str(classes[part]["EU"]) for part in ("train", "valid", "test"))
    expect(page.get_by_role("row", name=f"EU {shares}")).to_be_visible()
    expect(page.get_by_role("row", name="Peak memory")).to_contain_text("MiB")
    expect(page.get_by_role("link", name="air-1")).to_be_visible()


def trial_of(site: Site, job: str) -> str:
    runs = site.server.details("modeltraining", job)["details"]["runs"]
    return str(next(run["id"] for run in runs if run["kind"] == "trial"))


def test_a_log_is_text_whatever_it_holds(visit: Strict) -> None:
    page, run = visit.page, trial_of(visit.site, "air-1")
    log = visit.site.server.data_dir / "runs" / run / "log.txt"
    with log.open("a", encoding="utf-8") as file:
        file.write("\x1b[31mred\x1b[0m <script>document.title='foreign'</script>\n10%\r100%\n")
    visit.open(f"/console/modeltraining/air-1?run={run}")
    shown = page.locator("#log-text").text_content() or ""
    assert shown.endswith("\nred <script>document.title='foreign'</script>\n100%\n")
    assert page.title() == "air-1 · Despina"
    address = page.get_by_role("link", name="The whole log").get_attribute("href")
    with urlopen(f"{visit.site.url}{address}") as answer:
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.read() == log.read_bytes()


def test_what_is_not_kept_any_more_is_said(visit: Strict) -> None:
    server, page, run = visit.site.server, visit.page, trial_of(visit.site, "air-1")
    prefix = server.path(server.details("modeltraining", "air-1")["details"]["prefix"])
    moved = [server.data_dir / "runs" / run, prefix / "trials"]
    for path in moved:
        path.rename(path.with_name(f"aside-{path.name}"))
    try:
        visit.open(f"/console/modeltraining/air-1?run={run}")
        expect(page.get_by_text("The curves of 1 of 2 trials are not kept any more")).to_be_visible()
        expect(page.get_by_text("the setting run_retention_days says how long.")).to_be_visible()
        expect(page.get_by_role("img", name="Training loss")).to_be_visible()
    finally:
        for path in moved:
            path.with_name(f"aside-{path.name}").rename(path)


def test_an_endpoint_with_an_id_that_cannot_be_is_not_made(visit: Strict) -> None:
    page = visit.page
    visit.open("/console/modeltraining/air-1")
    page.get_by_label("Id of the new endpoint").evaluate("field => { field.removeAttribute('pattern'); field.value = 'not an id' }")
    with visit.expecting(400):
        page.get_by_role("button", name="Create endpoint").click()
        expect(page.get_by_role("alert")).to_contain_text("Must contain only letters, digits, or hyphens.")
    expect(page.get_by_label("Id of the new endpoint")).to_have_value("not an id")
    expect(page.get_by_role("img", name="Training loss")).to_be_visible()
    check_access(page, thorough=False)


def test_who_may_only_look_has_no_buttons(new_page: NewPage, sites: dict[str, Site]) -> None:
    strict = new_page(sites["guarded"], signed_in=False)
    sign_in(strict, sites["guarded"].reader, path="/console/modeltraining/tr")
    page = strict.page
    expect(page.get_by_role("heading", level=1, name="tr")).to_be_visible()
    expect(page.get_by_role("img", name="Training loss")).to_be_visible()
    expect(page.get_by_role("button", name="Create endpoint")).to_have_count(0)
    strict.open("/console/modeltraining/continents-waiting")
    expect(page.get_by_role("link", name="Cancel")).to_have_count(0)


def test_a_job_that_is_not_there(visit: Strict) -> None:
    with visit.expecting(404):
        visit.open("/console/modeltraining/nobody")
    expect(visit.page.get_by_role("main")).to_contain_text("Invalid ID provided")
    with visit.expecting(404):
        visit.open("/console/modeltraining/air-1/log?run=" + json.dumps("nothing"))
    expect(visit.page.get_by_role("main")).to_contain_text("of the job 'air-1' has started")


def test_a_job_follows_its_training_and_is_cancelled_and_cleaned_by_its_buttons(visit: Strict) -> None:
    server, page = visit.site.server, visit.page
    start(server, "for-ever", trials=1, epochs=FOR_EVER)
    server.wait_for_run("modeltraining", "for-ever", "trial", step=2)
    visit.open("/console/modeltraining/for-ever")
    page.evaluate("window.stayed = true")
    epochs = page.get_by_role("table", name="Trials, their").get_by_role("cell", name=re.compile(r"^\d+ of 100000"))
    log, seen = page.locator("#log-text"), epochs.inner_text()
    lines = log.inner_text()
    expect(epochs).not_to_have_text(seen)
    expect(log).not_to_have_text(lines)
    assert log.evaluate("part => part.scrollTop + part.clientHeight >= part.scrollHeight - 4"), "it follows"
    page.get_by_role("link", name="Cancel for-ever", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    page.wait_for_url("**/console/modeltraining/for-ever")
    expect(page.locator("#job .badge").first).to_have_text("Stopped")
    expect(page.locator("[data-live]")).to_have_count(0)
    expect(page.get_by_role("img", name="Training loss")).to_be_visible()
    page.get_by_role("link", name="Clean for-ever").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/console/modeltraining/for-ever")
    expect(page.get_by_text("what it had written is deleted")).to_be_visible()
    check_access(page, thorough=False)
