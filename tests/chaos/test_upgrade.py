"""A server of a newer version takes over from an older one while a job runs: schema, records and files are the older one's."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.exports import set_epochs
from tests.serving import Server

from despina.store.migrations import MIGRATIONS


def make_older(path: Path) -> None:
    """Turn a database into one of the schema before this one, with records that lack newer fields."""
    newer = path.with_name("newer.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.rename(newer)
    with closing(sqlite3.connect(path, isolation_level=None)) as older:
        for statement in (statement for statements in MIGRATIONS[:-1] for statement in statements):
            older.execute(statement)
        older.execute(f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
        older.execute("ATTACH ? AS newer", (str(newer),))
        tables = older.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall()
        for (table,) in tables:
            columns = ", ".join(row[1] for row in older.execute(f"PRAGMA table_info({table})"))
            older.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM newer.{table}")
        for seq, body in older.execute("SELECT seq, body FROM jobs").fetchall():
            record = json.loads(body)
            del record["notes"], record["earlier"]
            older.execute("UPDATE jobs SET body = ? WHERE seq = ?", (json.dumps(record).encode(), seq))


def test_a_newer_version_goes_on_with_the_jobs_of_an_older_one(start_server: Callable[..., Server], trained_data: Path) -> None:
    server = start_server(data=trained_data)
    job = server.details("dataprocessing", "dp")
    set_epochs(server.path(job["processingJob"]["outputLocation"]), 300)
    server.boto3().start_ml_model_training_job(
        id="again", dataProcessingJobId="dp", trainModelS3Location="s3://test/models", maxHPONumberOfTrainingJobs=1)
    trial = server.wait_for_run("modeltraining", "again", "trial", step=1)
    server.stop()
    make_older(server.data_dir / "despina.db")

    server.start()
    assert server.request("GET", "/ml/dataprocessing")[2]["ids"] == ["dp"]
    ended = server.wait_until_ended("modeltraining", "again")
    assert ended["status"] == "Completed"
    assert [run["id"] for run in ended["details"]["runs"] if run["kind"] == "trial"] == [trial["id"]], "it went on meanwhile"
    assert server.request("GET", "/ml/endpoints")[2]["ids"] == []
    done = server.completions()
    assert len(done) == len(set(done))
