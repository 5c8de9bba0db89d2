"""Every block of shell and Python of the README and the guide, typed in order by one reader, and what they promise of it: a trained
model, and in the browser its curve and a prediction."""

import ast
import json
from pathlib import Path

import boto3
from playwright.sync_api import Browser, Page, expect
from tests.reader import blocks, reading

ELSEWHERE = {"make demo": "tests/e2e/test_demo.py", "make test": ".ci/run"}
"""Commands that run as what runs this test, and the test that is theirs."""
PROCESSED = "despina-data/s3/my-bucket/processed/airports-*/preloading-output"


def look(page: Page, url: str) -> None:
    """What the README tells of the console."""
    page.goto(f"{url}/console")
    page.get_by_role("link", name="airports-1", exact=True).click()
    expect(page.get_by_role("img", name="acc on the validation part")).to_be_visible()
    page.get_by_role("navigation").get_by_role("link", name="Endpoints").click()
    page.get_by_role("link", name="airports", exact=True).click()
    page.get_by_role("group", name="airport").get_by_role("button").first.click()
    expect(page.get_by_role("table", name="Predictions")).to_contain_text("%")
    expect(page.get_by_role("heading", name="Why")).to_be_visible()


def test_the_readme_and_the_guide(tmp_path: Path, browser: Browser) -> None:
    first, *readme = blocks("README.md")
    commands = [line.partition("#")[0].strip() for line in first.text.splitlines()]
    assert commands == list(ELSEWHERE), "the two commands"
    # A script of one's own is given this by its run.
    with reading(tmp_path, {"SM_CHANNEL_TRAIN": "processed"}) as reader:
        printed = [reader.type(block) for block in readme]
        look(browser.new_page(), reader.url)
        [processed] = tmp_path.glob(PROCESSED)
        (tmp_path / "processed").symlink_to(processed)
        guide = [reader.type(block) for block in blocks("docs/guide.md")]
        neptune = boto3.client("neptunedata", endpoint_url=reader.url, region_name="us-east-1", aws_access_key_id="any",
                               aws_secret_access_key="any")
        trainings = neptune.list_ml_model_training_jobs()["ids"]
        assert trainings == ["airports-custom", "airports-2", "airports-1"]
        assert {neptune.get_ml_model_training_job(id=job)["status"] for job in trainings} == {"Completed"}
        assert neptune.get_ml_data_processing_job(id="week-2")["status"] == "Completed"
        assert neptune.get_ml_model_transform_job(id="week-2")["status"] == "Completed"
        assert neptune.get_ml_endpoint(id="airports")["status"] == "InService"

    [ids, end] = printed[1].splitlines()
    assert ids == "['airports-1']"
    status, location = end.split()
    assert status == "Completed"
    folder = tmp_path / "despina-data" / "s3" / location.removeprefix("s3://")
    assert (folder / "test_metrics_info.json").is_file(), "the files lie where the README says"
    [item] = json.loads(ast.literal_eval(printed[2]))["output"]["nodes"]
    assert item["predictions"][0]["score"] > item["predictions"][1]["score"]
    assert "memory" in guide[0]
    assert guide[1].strip() in {"AF", "AN", "AS", "EU", "NA", "OC", "SA"}, "a continent"
