"""The testing kit as its users have it: a pytest of their own, in a process of its own, with the plugin that the package brings."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.architecture.test_shape import loaded_by
from tests.exports import write_export
from tests.serving import wait_for

from despina.core.errors import DespinaError
from despina.testing.server import Despina, running

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 120
SERVERS = """
import os, pathlib
import boto3
import pytest
from botocore.exceptions import ClientError

@pytest.fixture(autouse=True)
def note(despina, worker_id):
    (pathlib.Path(os.environ["NOTES"]) / worker_id).write_text(despina.url)

def listed():
    return boto3.client("neptunedata").list_ml_data_processing_jobs()["ids"]

def test_boto3_finds_the_server(despina):
    assert listed() == []
    assert os.environ["AWS_ENDPOINT_URL_NEPTUNEDATA"] == despina.url
    assert boto3.client("sagemaker-runtime").meta.endpoint_url == despina.url
    assert "AWS_PROFILE" not in os.environ

def test_a_fresh_server_is_another_one(despina, fresh_despina):
    assert fresh_despina.url != despina.url
    assert boto3.client("neptunedata").meta.endpoint_url == fresh_despina.url
    assert listed() == []
    assert fresh_despina.data_dir.is_dir()

def test_the_session_has_its_own_again(despina):
    assert boto3.client("neptunedata").meta.endpoint_url == despina.url
    assert listed() == []

def test_an_unknown_job_is_the_services_own_error(despina):
    with pytest.raises(ClientError, match="MLResourceNotFoundException"):
        despina.client().get_ml_model_training_job(id="nobody")

def test_what_is_no_location_is_refused(despina):
    from despina.core.errors import DespinaError
    assert despina.s3_path("s3://bank/a/b") == despina.data_dir / "s3" / "bank" / "a" / "b"
    with pytest.raises(DespinaError, match="bucket name"):
        despina.s3_path("s3://Bank/a")
    with pytest.raises(DespinaError, match="not of the form s3://"):
        despina.s3_path("file:///a")
"""
SIGNED = """
import boto3
import pytest
from botocore.exceptions import ClientError

@pytest.fixture(scope="session")
def despina_settings():
    return {"iam_auth": True, "principals": [
        {"name": "nobody", "access_key_id": "AKIANOBODY", "secret_access_key": "secret"}]}

def test_signatures_are_checked(despina):
    assert boto3.client("neptunedata").list_ml_model_training_jobs()["ids"] == []

def test_and_so_by_another_server(fresh_despina):
    assert boto3.client("neptunedata").list_ml_model_training_jobs()["ids"] == []

def test_who_may_not_is_refused(despina):
    nobody = boto3.client("neptunedata", aws_access_key_id="AKIANOBODY", aws_secret_access_key="secret")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        nobody.list_ml_model_training_jobs()
"""
ABANDONED = """
import os, pathlib, time
import boto3

def test_it(despina):
    client = boto3.client("neptunedata")
    client.start_ml_data_processing_job(id="dp", inputDataS3Location="file://" + os.environ["EXPORT"],
                                        processedDataS3Location="s3://bank/processed")
    pathlib.Path(os.environ["NOTES"], "data").write_text(str(despina.data_dir))
    time.sleep(600)
"""


def project(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    return folder


def command(*arguments: str) -> list[str]:
    """pytest with the plugins of a project that has the kit and xdist; those of our own tests take two seconds to load."""
    others = [word for name in ("schemathesis", "hypothesispytest", "anyio") for word in ("-p", f"no:{name}")]
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *others, "-q", *arguments]


def environment(**more: str) -> dict[str, str]:
    """Of a machine whose user has an account with AWS, and a Despina of her own: nothing of it may be touched."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DESPINA_", "PYTEST_"))}
    return {**clean, "AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "real", "DESPINA_DATABASE_URL": "postgresql://127.0.0.1:1/none",
            "DESPINA_ENGINE": "ray://127.0.0.1:1", **more}


def run(folder: Path, *arguments: str, **more: str) -> str:
    done = subprocess.run(command(*arguments), cwd=folder, env=environment(**more), capture_output=True, text=True,
                          timeout=TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def processes(data_dir: str) -> list[int]:
    """The living processes of a server of the kit and of its runs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                texts = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if data_dir.encode() in texts:
                found.append(int(entry.name))
    return found


def test_the_fixtures_and_a_server_for_every_worker_of_xdist(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    first, *_ = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert "6 passed" in run(project(tmp_path / "servers", SERVERS + first), "-n", "2", NOTES=str(notes))
    urls = [path.read_text(encoding="utf-8") for path in notes.iterdir()]
    assert len(urls) == len(set(urls)) == 2


def test_settings_may_be_overridden(tmp_path: Path) -> None:
    assert "3 passed" in run(project(tmp_path / "signed", SIGNED))


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("victim", ["the test run", "the server"])
def test_a_killed_test_run_leaves_nothing(tmp_path: Path, victim: str) -> None:
    export = write_export(tmp_path / "export")
    notes = tmp_path / "notes"
    notes.mkdir()
    folder = project(tmp_path / "abandoned", ABANDONED)
    with subprocess.Popen(command(), cwd=folder, stdout=subprocess.DEVNULL, env=environment(NOTES=str(notes), EXPORT=str(export))
                          ) as pytest_run:
        data = wait_for("the test", lambda: (notes / "data").read_text() if (notes / "data").exists() else "")
        program = wait_for("a run", lambda: processes(f"{data}/s3"))
        assert program
        if victim == "the test run":
            pytest_run.kill()
        else:
            [keeper] = [int(pid) for pid in Path(f"/proc/{pytest_run.pid}/task/{pytest_run.pid}/children").read_text().split()]
            os.kill(keeper, signal.SIGKILL)
            pytest_run.send_signal(signal.SIGINT)
        pytest_run.wait(timeout=TIMEOUT_SECONDS)
    wait_for("the end of all processes", lambda: not processes(data))
    wait_for("the end of the folder", lambda: not Path(data).exists())


@pytest.mark.parametrize(("settings", "message"), [
    ({"iam_aut": True}, "unknown setting 'iam_aut': did you mean 'iam_auth'?"),
    ({"port": 8182}, "'port', which the testing kit sets itself"),
    ({"max_active_jobs": 0}, "max-active-jobs has the value 0, which must be at least 1"),
    ({"ml_enabled": "perhaps"}, "ml-enabled has the value 'perhaps'"),
])
def test_a_setting_that_will_not_do_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DespinaError, match=re.escape(message)), running(settings):
        pass


def test_a_setting_that_is_nought_holds() -> None:
    with running({"ml_enabled": False}) as server, pytest.raises(ClientError, match="UnsupportedOperationException"):
        server.client().list_ml_endpoints()


def test_an_s3_server_of_the_environment_is_used_with_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with running({"iam_auth": True}) as server:
        assert server.environment["AWS_ACCESS_KEY_ID"] == "key"
        assert server.client().list_ml_endpoints()["ids"] == [], "Despina knows the key, too"
        with pytest.raises(DespinaError, match=r"is on the S3 server http://127\.0\.0\.1:1"):
            server.s3_path("s3://bank/export")


def test_the_page_has_all_that_there_is() -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    for name in ("despina", "fresh_despina", "despina_settings"):
        assert f"| `{name}` |" in page
    public = {name for name in vars(Despina) if not name.startswith("_")} | {"url", "data_dir", "environment"}
    assert {re.split(r"\W", name)[0] for name in re.findall(r"^\| `(\w+[^`]*)` \| ", page, flags=re.MULTILINE)} >= public


def test_a_test_run_without_the_fixture_pays_nothing() -> None:
    more: Any = loaded_by("despina.testing.plugin") - loaded_by("pytest")
    assert more == {"despina", "despina.testing", "despina.testing.plugin"}, json.dumps(sorted(more))
