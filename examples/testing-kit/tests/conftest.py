"""A small export: who pays fraudsters is one, mostly."""

import csv
import json
import random
from pathlib import Path

import pytest

ACCOUNTS = 60
CONFIGURATION = {
    "version": "v2.0",
    "query_engine": "gremlin",
    "graph": {
        "nodes": [{
            "file_name": "accounts.csv", "separator": ",", "node": ["~id", "account"],
            "features": [{"feature": ["age", "age", "numerical"], "norm": "min-max"}],
            "labels": [{"label": ["fraud", "classification"], "split_rate": [0.6, 0.2, 0.2]}],
        }],
        "edges": [{
            "file_name": "payments.csv", "separator": ",",
            "source": ["~from", "account"], "relation": ["", "pays"], "dest": ["~to", "account"],
        }],
    },
    "warnings": [],
}


@pytest.fixture(scope="session")
def export(despina):
    """An export where the application looks for it, on S3: a folder of the server stands in for the bucket."""
    location = "s3://bank/export"
    write(despina.s3_path(location))
    return location


def write(folder: Path) -> None:
    chance = random.Random(7)
    folder.mkdir(parents=True)
    fraud = [chance.random() < 0.5 for _ in range(ACCOUNTS)]
    with (folder / "accounts.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["~id", "~label", "age", "fraud"])
        rows.writerows([f"a{i}", "account", chance.randrange(1, 400) if fraud[i] else chance.randrange(200, 4000),
                        "yes" if fraud[i] else "no"] for i in range(ACCOUNTS))
    with (folder / "payments.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["~id", "~label", "~from", "~to"])
        for number in range(6 * ACCOUNTS):
            payer = chance.randrange(ACCOUNTS)
            payees = range(ACCOUNTS) if chance.random() < 0.2 else [i for i in range(ACCOUNTS) if fraud[i] == fraud[payer]]
            rows.writerow([f"p{number}", "pays", f"a{payer}", f"a{chance.choice(payees)}"])
    (folder / "training-data-configuration.json").write_text(json.dumps(CONFIGURATION))
