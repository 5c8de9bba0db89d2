"""Pictures of the console for the documentation, each in light and dark: ``docs/screenshots/NAME.png`` and ``NAME-dark.png``.

    .venv/bin/python -m tests.browser.screenshots [NAME …]

A server of its own works on examples/air-routes: two trainings have ended, one goes on, others were recorded. A new picture is a
row of ``PICTURES``.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.recorded import HOUR, job, record
from tests.exports import set_epochs
from tests.serving import Server, wait_for
from tests.wire.endpoints import created, wait_until_gone

from despina.core.job import Status
from despina.core.requests import StartDataProcessing, StartModelTraining

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "screenshots"
COLOURS = 128
"""Of a picture: enough for text and charts, and a third of the size."""
MAX_BYTES = 100_000


def nothing(_page: Page) -> None:
    """The page as it comes."""


class Picture(NamedTuple):
    """A picture: the path of the page, and what is done there first."""

    name: str
    path: str
    first: Callable[[Page], None] = nothing
    width: int = 1280
    height: int = 720


def _ask(page: Page) -> None:
    page.get_by_role("link", name="Cancel and clean continents-3").click()
    page.get_by_role("dialog").wait_for()


def _predict(page: Page) -> None:
    page.get_by_role("group", name="airport").get_by_role("button").nth(1).click()
    page.get_by_role("region", name="continent of airport").wait_for()
    page.evaluate("scrollTo(0, 0)")


PICTURES = (
    Picture("jobs", "/console/modeltraining"),
    Picture("cancel", "/console/modeltraining", _ask),
    Picture("job", "/console/modeltraining/continents-1", height=1000),
    Picture("phone", "/console/modeltraining", width=390, height=780),
    Picture("prediction", "/console/endpoints/continents", _predict, height=1330),
)


def main(names: list[str]) -> None:
    chosen = [picture for picture in PICTURES if not names or picture.name in names]
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="despina-pictures-") as folder:
        server = Server(Path(folder) / "data")
        recorded(server.data_dir)
        server.start()
        try:
            work(server)
            take(server, chosen)
        finally:
            with suppress(Exception):
                server.boto3().delete_ml_endpoint(id="continents")
                wait_until_gone(server, "continents")
            with suppress(Exception):
                server.boto3().cancel_ml_model_training_job(id="continents-3")
                server.wait_until_ended("modeltraining", "continents-3")
            server.stop()


def recorded(data: Path) -> None:
    """What happened in the days before."""
    now = time.time_ns() // 1_000_000
    processing = StartDataProcessing(input_data_s3_location="s3://flights/export", processed_data_s3_location="s3://flights/processed")
    training = StartModelTraining(data_processing_job_id="airports", train_model_s3_location="s3://flights/models")
    record(data, [
        job(training, "routes-2026-11", created_at=now - 50 * HOUR, status=Status.COMPLETED),
        job(training, "delays-first-try", created_at=now - 27 * HOUR, status=Status.FAILED, reason=(
            "The data-processing job 'delays' has no label for training: its configuration names 'delay', of which all 3,503 "
            "values are missing.")),
        job(training, "delays-second-try", created_at=now - 26 * HOUR, status=Status.STOPPED),
        job(processing, "delays", created_at=now - 28 * HOUR, status=Status.COMPLETED),
    ])


def work(server: Server) -> None:
    """What happens now."""
    server.process(ROOT / "examples" / "air-routes", "airports")
    processed = server.path(server.details("dataprocessing", "airports")["processingJob"]["outputLocation"])
    set_epochs(processed, 60)
    client = server.boto3()
    client.start_ml_model_training_job(id="continents-1", dataProcessingJobId="airports", trainModelS3Location="s3://flights/models",
                                       maxHPONumberOfTrainingJobs=2)
    client.start_ml_model_training_job(id="continents-2", dataProcessingJobId="airports", trainModelS3Location="s3://flights/models",
                                       maxHPONumberOfTrainingJobs=1)
    for name in ("continents-1", "continents-2"):
        assert server.wait_until_ended("modeltraining", name)["status"] == "Completed"
    created(server, "continents", job="continents-1")
    set_epochs(processed, 4000)
    client.start_ml_model_training_job(id="continents-3", dataProcessingJobId="airports", trainModelS3Location="s3://flights/models",
                                       maxHPONumberOfTrainingJobs=2, maxHPOParallelTrainingJobs=2)

    def both() -> bool:
        runs: list[dict[str, Any]] = server.details("modeltraining", "continents-3")["details"]["runs"]
        return len([run for run in runs if run["kind"] == "trial" and (run.get("progress") or {}).get("step", 0) >= 60]) == 2

    wait_for("two trials that have come some way", both)


def take(server: Server, pictures: list[Picture]) -> None:
    """Take the pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for picture in pictures:
            for colours, suffix in (("light", ""), ("dark", "-dark")):
                page = browser.new_page(viewport={"width": picture.width, "height": picture.height},
                                        color_scheme="dark" if colours == "dark" else "light", device_scale_factor=1)
                page.goto(server.url + picture.path)
                picture.first(page)
                write(page.screenshot(animations="disabled"), FOLDER / f"{picture.name}{suffix}.png")
                page.close()
        browser.close()


def write(png: bytes, path: Path) -> None:
    """Keep a picture, with few colours."""
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    assert size < MAX_BYTES, f"{path} has {size} bytes"
    print(f"{path.relative_to(ROOT)}: {size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
