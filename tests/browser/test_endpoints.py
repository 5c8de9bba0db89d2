"""The pages of endpoints, with a model that is really served: its state, the form that asks it, the answer and why."""

import io
import json
from contextlib import redirect_stdout
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import NewPage
from tests.browser.endpoint_visits import ask_for_a_sample, create
from tests.browser.sites import SERVED, Site
from tests.browser.strict import Strict, check_access, sign_in
from tests.wire.endpoints import runtime

PATH = f"/console/endpoints/{SERVED}"


@pytest.fixture
def at_open(new_page: NewPage, sites: dict[str, Site]) -> Strict:
    """A page at the server that believes everybody."""
    return new_page(sites["open"])


def ask(page: Page, **fields: str) -> None:
    """Fill fields of the form in, by their ids, and send it."""
    for name, value in fields.items():
        page.locator(f"#try-{name}").fill(value)
    page.get_by_role("button", name="Predict").click()


def test_a_newcomer_clicks_and_reads_what_is_predicted_and_why(strict: Strict) -> None:
    strict.open("/console/endpoints")
    page = strict.page
    row = page.get_by_role("row", name=SERVED)
    expect(row).to_contain_text("InService")
    expect(row).to_contain_text("1 of 1")
    page.get_by_role("link", name=SERVED).click()
    expect(page.get_by_text("The model tells the class “colour” of a node of type item.")).to_be_visible()
    page.get_by_role("group", name="item").get_by_role("button").first.click()
    answer = page.get_by_role("region", name="colour of item")
    predictions = answer.get_by_role("table", name="Predictions")
    shares = [float(text.rstrip(" %").lstrip("<> ")) for text in predictions.locator("td.number").all_text_contents()]
    assert len(shares) == 2
    assert sum(shares) == pytest.approx(100, abs=0.2)
    expect(answer.get_by_role("heading", name="Why")).to_be_visible()
    expect(answer.get_by_role("listitem").first).to_contain_text("log-odds of")
    expect(answer.get_by_role("table", name="What moved the prediction")).to_contain_text("size of item")
    page.get_by_text("As a program asks").click()
    check_access(page, thorough=strict.site.mode == "open")


def test_the_code_that_is_shown_does_the_same(at_open: Strict) -> None:
    ask_for_a_sample(at_open)
    page = at_open.page
    page.get_by_text("As a program asks").click()
    code = page.get_by_role("region", name="Python that asks the same").inner_text()
    shown = json.loads(page.get_by_role("region", name="The answer as JSON").inner_text())
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "shown", "exec"), {})
    assert eval(printed.getvalue())["output"]["nodes"][0]["predictions"] == shown["output"]["nodes"][0]["predictions"]


def test_what_is_wrong_stands_beside_its_field(at_open: Strict) -> None:
    page = at_open.page
    at_open.open(PATH)
    ask(page, node="nobody")
    expect(page.locator("#node-wrong")).to_contain_text("There is no node 'nobody' of type 'item'")
    expect(page.get_by_label("Node id")).to_have_attribute("aria-invalid", "true")
    check_access(page)
    with at_open.expecting(400, 424):
        ask(page, node="", topk="many")
        expect(page.locator("#node-wrong")).to_contain_text("Say which node")
        expect(page.locator("#topk-wrong")).to_contain_text("whole number from 1 on, not 'many'")
        page.get_by_text("A node the model has never seen").click()
        ask(page, node="new", topk="2", subgraph='{"nodes": [')
        expect(page.locator("#subgraph-wrong")).to_contain_text("It is not JSON: Expecting value in line 1, column 12")
        ask(page, subgraph='{"nodes": [{"id": "new", "type": "itm"}]}')
        expect(page.locator("#subgraph-wrong")).to_contain_text("did you mean 'item'")
        expect(page.get_by_label("Node id")).to_have_value("new")


def test_a_node_that_the_model_has_never_seen(at_open: Strict) -> None:
    page = at_open.page
    at_open.open(PATH)
    page.get_by_text("A node the model has never seen").click()
    page.get_by_role("link", name="Fill in an example").click()
    ask(page)
    answer = page.get_by_role("region", name="colour of item new")
    expect(answer.get_by_role("table", name="Predictions")).to_contain_text("%")
    expect(answer).to_contain_text("size of item new")


def test_it_works_without_the_script(new_page: NewPage, sites: dict[str, Site]) -> None:
    strict = new_page(sites["open"], java_script_enabled=False)
    ask_for_a_sample(strict)
    strict.page.get_by_role("link", name="Delete").click()
    strict.page.get_by_role("link", name="Keep it").click()
    strict.page.wait_for_url(f"**{PATH}")


def test_numbers_follow_while_the_form_keeps_what_stands_in_it(at_open: Strict) -> None:
    page = at_open.page
    at_open.open(PATH)
    page.get_by_label("Node id").fill("half a word")
    before = answered(page)
    client = runtime(at_open.site.server)
    client.invoke_endpoint(EndpointName=SERVED, Body=json.dumps({"data": {"nodes": [{"nodeId": "item-1"}]}}))
    with pytest.raises(client.exceptions.ModelError):
        client.invoke_endpoint(EndpointName=SERVED, Body=b"{}")
    expect(page.locator("#state")).to_contain_text(f"{before + 2} answered")
    expect(page.get_by_label("Node id")).to_have_value("half a word")
    assert page.locator(".histogram rect").count() >= 3


def answered(page: Page) -> int:
    text = page.locator("#state").inner_text().partition(" answered")[0].split()[-1]
    return int(text) if text.isdecimal() else 0


def test_an_endpoint_that_cannot_serve_says_why_first(at_open: Strict) -> None:
    site, page = at_open.site, at_open.page
    location = site.server.boto3().get_ml_model_training_job(id="tr")["processingJob"]["outputLocation"]
    file = site.server.path(location) / "embeddings" / "entity.npy"
    kept = file.read_bytes()
    file.unlink()
    try:
        create(at_open, "cannot-serve")
        expect(page.get_by_role("alert")).to_contain_text("the artefacts have no file embeddings/entity.npy")
    finally:
        file.write_bytes(kept)
    expect(page.get_by_text("There is no model in service that could be asked.").or_(page.get_by_text("It does not answer yet."))
           ).to_be_visible()
    check_access(page)
    at_open.open("/console/endpoints")
    expect(page.get_by_role("row", name="cannot-serve")).to_contain_text("Failed")


def test_a_form_that_is_refused_comes_back_with_the_reason(at_open: Strict) -> None:
    page = at_open.page
    with at_open.expecting(400):
        create(at_open, "no_id")
        expect(page.get_by_role("alert")).to_contain_text("Must contain only letters, digits, or hyphens.")
        expect(page.get_by_label("Name")).to_have_value("no_id")
        create(at_open, "nothing-there", job="modeltraining/continents-completed")
        expect(page.get_by_role("alert")).to_contain_text("there are no artefacts of the job 'continents-completed'")


def test_who_may_only_look_is_shown_no_more(new_page: NewPage, sites: dict[str, Site]) -> None:
    site = sites["guarded"]
    strict = new_page(site, signed_in=False)
    page = strict.page
    sign_in(strict, site.reader, path=PATH)
    expect(page.get_by_text("You may look at this endpoint, but not ask it")).to_be_visible()
    expect(page.get_by_role("link", name="Delete").or_(page.get_by_role("link", name="Update", exact=True))).to_have_count(0)
    strict.open("/console/endpoints")
    expect(page.get_by_role("link", name="New endpoint")).to_have_count(0)
    with strict.expecting(403):
        for path in ("/console/new-endpoint", f"{PATH}/update"):
            strict.open(path)
            expect(page.get_by_role("heading", name="This is not permitted")).to_be_visible()
        post(page, PATH, node="item-1")
        expect(page.get_by_text("not authorized to perform: sagemaker:InvokeEndpoint")).to_be_visible()


def post(page: Page, path: str, **fields: str) -> None:
    """Send a form that the page does not have, with the right token."""
    page.evaluate("""([path, fields]) => {
        const form = Object.assign(document.createElement("form"), {method: "post", action: path});
        const token = document.querySelector("input[name=token]").value;
        for (const [name, value] of Object.entries({...fields, token}))
            form.append(Object.assign(document.createElement("input"), {name, value}));
        document.body.append(form);
        form.submit();
    }""", arg(path, fields))
    page.wait_for_load_state()


def arg(*values: Any) -> list[Any]:
    return list(values)
