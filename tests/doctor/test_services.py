"""Database, S3 and engine, each real and broken for real."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.doctor.conftest import Ask, found, statuses
from tests.doctor.test_machine import with_clock
from tests.postgres import PASSWORD, Cluster
from tests.seaweed import BUCKET, READER, SHARED, Seaweed
from tests.serving import PATIENCE_SECONDS, Server, wait_for
from tests.users import unprivileged

from despina.cli.doctor import artefacts, database, engines
from despina.settings import load
from despina.store import open_stores
from despina.store.facts import StoreFacts, facts_of

NOWHERE = "127.0.0.1:1"


def test_a_whole_deployment_that_is_well(tmp_path: Path, postgresql: Cluster, seaweed: Seaweed,
                                         certificate: Callable[..., tuple[str, str]]) -> None:
    cert, key = certificate("server")
    with postgresql.database() as url:
        done = subprocess.run(
            [sys.executable, "-m", "despina", "doctor", "--json", "--data-dir", str(tmp_path / "data"), "--host", "localhost",
             "--port", "0", "--tls-cert", cert, "--tls-key", key, "--iam-auth", "--location", f"s3://{BUCKET}/doctor"],
            capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
            env={**os.environ, **seaweed.environment(), "DESPINA_DATABASE_URL": url, "DESPINA_MAX_CONNECTIONS": "64",
                 "DESPINA_CUSTOM_MODELS": "true"})
    report = json.loads(done.stdout)
    told = {check["name"]: check for check in report["checks"]}
    # Neither who may sign nor what machine this is are the test's business.
    outside = {"principals", "clock", "disk", "custom models", "cores and memory"}
    assert {name for name, check in told.items() if check["status"] != "ok"} <= outside, done.stdout
    assert (done.returncode, report["errors"], done.stderr) == (0, 0, "")
    assert told.keys() >= {"settings", "data directory", "disk", "clock", "open files", "database", "database clock", "S3 server",
                           "S3 write and read", "program", "cores and memory", "port", "certificate", "secrets key", "principals"}
    assert "torch 2." in told["program"]["found"]
    assert PASSWORD not in done.stdout
    assert list(seaweed.client().list_objects_v2(Bucket=BUCKET, Prefix="doctor").get("Contents", [])) == []
    assert not (tmp_path / "data").exists()


def test_a_database_of_sqlite_is_looked_at_and_left_as_it_is(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "data" / "despina.db"
    assert "empty: the first process makes the tables" in found(ask(database.examine), "database").found
    assert not path.exists()
    open_stores(path).close()
    before = path.read_bytes()
    assert "a row was written and read" in found(ask(database.examine), "database").found
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    told = found(ask(database.examine), "database")
    assert (told.status, "older version" in told.found) == ("warning", True)
    assert facts_of(path).schema == 2, "it was not brought up to date"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1000")
    assert "newer version of Despina" in found(ask(database.examine), "database").found
    path.write_bytes(before)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 7")
    told = found(ask(database.examine), "database")
    assert (told.status, told.advice) == ("error", "name another database, or use the version that has written it.")
    path.write_bytes(b"no database at all" * 100)
    assert found(ask(database.examine), "database").status == "error"


def test_a_postgresql_that_cannot_be_used_as_it_is_named(ask: Ask, postgresql: Cluster) -> None:
    good = postgresql.url("postgres")
    for url, text, advice in (
            (good.replace(PASSWORD, "wrong-word"), "password authentication failed", "correct user and password"),
            (good.replace("/postgres", "/nowhere"), "does not exist", "make the database"),
            (f"postgresql://despina:{PASSWORD}@{NOWHERE}/despina", "refused", "see that PostgreSQL runs"),
            ("/nowhere/at/all/despina.db", "there is no folder /nowhere/at/all", "make it"),
            ("mysql://db/despina", "is not offered", "correct --database-url")):
        told = found(ask(database.examine, database_url=url), "database")
        assert (told.status, text in told.found) == ("error", True), told
        assert advice in (told.advice or "")
        assert PASSWORD not in told.found
        assert "wrong-word" not in told.found


def test_a_postgresql_in_which_not_all_may_be_done(ask: Ask, postgresql: Cluster) -> None:
    with postgresql.empty_database() as url:
        assert statuses(ask(database.examine, database_url=url)) == {"ok"}
        assert facts_of(url).schema == 0, "no table was made"
    with postgresql.database() as url:
        assert statuses(ask(database.examine, database_url=url)) == {"ok"}
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
            connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
        try:
            told = found(ask(database.examine, database_url=url.replace(f"despina:{PASSWORD}", "guest:guest")), "database rights")
        finally:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("DROP OWNED BY guest")
                connection.execute("DROP ROLE guest")
        assert told.status == "error"
        assert "CREATE in the schema, INSERT on jobs, UPDATE on jobs" in told.found
        assert "SELECT" not in told.found
        told = found(ask(database.examine, database_url=f"{url}?options=-c%20default_transaction_read_only%3Don"), "database")
        assert (told.status, "read-only transaction" in told.found) == ("error", True)


@pytest.mark.parametrize(("facts", "status", "text"), [
    ({"ahead_ms": 20.0}, "ok", "agree (20 ms apart)"),
    ({"ahead_ms": -1_500.0}, "warning", "its clock is 1.5 s behind ours"),
    ({"ahead_ms": 7_000.0}, "error", "its clock is 7.0 s ahead of ours"),
    ({"notifies": False}, "error", "a notification does not arrive"),
    ({"free_connections": 3}, "warning", "3 connections are free"),
    ({"is_old": True}, "error", "PostgreSQL 12.1 is too old"),
])
def test_what_is_made_of_facts_that_no_test_can_bring_about(facts: dict[str, object], status: str, text: str) -> None:
    known = {"name": "postgresql://db/despina", "product": "PostgreSQL 12.1", "schema": 1, "newest": 1, "free_connections": 90}
    judged = list(database.judge(StoreFacts(**{**known, **facts})))  # type: ignore[arg-type]
    assert any((check.status, text in check.found) == (status, True) for check in judged), judged


def test_a_database_whose_clock_is_not_ours(other_clock: str, tmp_path: Path, postgresql: Cluster) -> None:
    (tmp_path / "data").mkdir()
    with postgresql.empty_database() as url:
        told = with_clock(other_clock, 3, "database", tmp_path / "data", DESPINA_DATABASE_URL=url)["database clock"]
    assert (told["status"], "behind ours" in told["found"]) == ("warning", True)


def s3(monkeypatch: pytest.MonkeyPatch, seaweed: Seaweed, **changes: str) -> None:
    for name, value in {**seaweed.environment(), **changes}.items():
        monkeypatch.setenv(name, value)


def test_an_s3_server_that_works(ask: Ask, seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> None:
    s3(monkeypatch, seaweed)
    assert statuses(ask(artefacts.examine, location=f"s3://{BUCKET}/doctor/works")) == {"ok"}
    told = found(ask(artefacts.examine), "S3 write and read")
    assert (told.status, "--location" in (told.advice or "")) == ("warning", True)


@pytest.mark.parametrize(("changes", "bucket", "name", "text", "advice"), [
    ({"AWS_SECRET_ACCESS_KEY": "wrong"}, BUCKET, "S3 write and read", "does not accept the credentials",
     "correct AWS_ACCESS_KEY_ID"),
    ({"AWS_ACCESS_KEY_ID": ""}, BUCKET, "S3", "There are no credentials", "set the variables AWS_"),
    ({"AWS_ACCESS_KEY_ID": READER[0], "AWS_SECRET_ACCESS_KEY": READER[1]}, SHARED, "S3 write and read", "permission denied",
     "must allow s3:ListBucket"),
    ({}, "no-such-bucket", "S3 write and read", "there is no bucket", "make the bucket"),
    ({"AWS_ENDPOINT_URL_S3": f"http://{NOWHERE}"}, BUCKET, "S3 server", "does not answer", "see that it runs"),
    ({"AWS_ENDPOINT_URL_S3": "s3.example.com"}, BUCKET, "S3 server", "is no URL", "must be as https://"),
])
def test_an_s3_server_that_does_not_work(ask: Ask, seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str],
                                         bucket: str, name: str, text: str, advice: str) -> None:
    s3(monkeypatch, seaweed, **changes)
    told = found(ask(artefacts.examine, location=f"s3://{bucket}/doctor"), name)
    assert (told.status, text in told.found) == ("error", True), told
    assert advice in (told.advice or "")


def test_an_s3_server_whose_clock_is_not_ours(other_clock: str, tmp_path: Path, seaweed: Seaweed) -> None:
    told = with_clock(other_clock, 300, "artefacts", tmp_path, f"s3://{BUCKET}/doctor", **seaweed.environment())["S3 server"]
    assert (told["status"], "behind ours" in told["found"]) == ("warning", True)
    told = with_clock(other_clock, 3_600, "artefacts", tmp_path, f"s3://{BUCKET}/doctor", **seaweed.environment())["S3 server"]
    assert told["status"] == "error"
    assert "S3 refuses signatures that are 15 minutes off" in told["advice"]


def test_the_folder_that_stands_in_for_s3(ask: Ask, tmp_path: Path) -> None:
    assert statuses(ask(artefacts.examine)) == {"ok"}
    (tmp_path / "data" / "s3").mkdir()
    assert statuses(ask(artefacts.examine)) == {"ok"}
    assert list((tmp_path / "data" / "s3").iterdir()) == []
    assert found(ask(artefacts.examine, location="s3://X/y"), "S3 write and read").advice == "correct --location."
    told = found(ask(artefacts.examine, location="file:///proc/doctor"), "S3 write and read")
    assert told.status == "error"


def test_a_program_that_cannot_import_what_it_needs(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "numpy.py").write_text("raise ImportError('libopenblas.so: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    monkeypatch.setenv("RAY_ADDRESS", NOWHERE)
    checks = ask(engines.examine)
    told = found(checks, "program")
    assert (told.status, "libopenblas.so: cannot open" in told.found) == ("error", True)
    assert "pip install 'despina[train]==" in (told.advice or "")
    assert "unset it" in (found(checks, "engine").advice or "")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize(("changes", "text"), [
    ({"coresAllowed": 1.5}, "allows the time of 1.5 cores"), ({"memoryBytes": 2**29}, "512.0 MiB of memory are free")])
def test_what_is_made_of_a_machine_that_has_little(changes: dict[str, float], text: str) -> None:
    machine: dict[str, Any] = {"versions": {}, "seconds": 1, "cores": 4, "coresAllowed": None, "memoryBytes": 2**34, **changes}
    told = found(list(engines._found(machine, 1.0, local=True)), "cores and memory")
    assert (told.status, text in told.found) == ("warning", True)


def test_an_engine_that_is_not_there(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    told = found(ask(engines.examine, engine=f"ray://{NOWHERE}"), "engine")
    assert (told.status, "does not answer" in told.found) == ("error", True)
    assert "see that the head runs" in (told.advice or "")
    assert found(ask(engines.examine, engine="ray:/nowhere"), "engine").status == "error"
    assert "local, or ray://HOST:PORT" in (found(ask(engines.examine, engine="dask://head:1"), "engine").advice or "")


def test_scripts_of_clients_as_a_user_that_is_not_there(ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DESPINA_CUSTOM_MODELS", "true")
    monkeypatch.setenv("DESPINA_CUSTOM_MODELS_USER", "nobody-at-all")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "numpy.py").write_text("raise ImportError\n")  # so that it is quick
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    assert found(ask(engines.examine), "custom models").found == "there is no user 'nobody-at-all'"
    monkeypatch.setenv("DESPINA_CUSTOM_MODELS_USER", "nobody")
    with unprivileged():
        told = [check for check in engines._scripts(load({})) if check.status == "error"]
    assert "only root can run scripts" in told[0].found


@pytest.mark.parametrize("command", ["serve", "reconcile"])
def test_a_server_says_at_once_that_its_cluster_is_not_there(command: str, start_server: Callable[..., Server], export: Path,
                                                             tmp_path: Path) -> None:
    server = start_server("--engine", f"ray://{NOWHERE}", *(["--api-only"] if command == "reconcile" else []))
    server.boto3().start_ml_data_processing_job(
        id="dp", inputDataS3Location=f"file://{export}", processedDataS3Location="s3://test/processed")
    if command == "serve":
        wait_for("a word on the cluster", lambda: f"The Ray cluster at {NOWHERE} does not answer" in server.log())
        wait_for("a word on the job", lambda: "Jobs wait for their engine" in server.log())
        assert "Traceback" not in server.log()
        return
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(
            [sys.executable, "-m", "despina", "reconcile", "--data-dir", str(server.data_dir), "--engine", f"ray://{NOWHERE}"],
            stdout=subprocess.DEVNULL, stderr=log) as reconciler:
        wait_for("a word on the job", lambda: b"Jobs wait for their engine" in (tmp_path / "log").read_bytes())
        reconciler.terminate()
        assert reconciler.wait(PATIENCE_SECONDS) == 0
    assert b"Traceback" not in (tmp_path / "log").read_bytes()
