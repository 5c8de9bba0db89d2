"""Whether endpoints say what the artefacts say: metrics recomputed from their answers beside ``test_metrics_info.json``.

    python bench/served.py --data EXPORTS --judge PATH/score.py [NAME …]

EXPORTS is a folder with the exports that shared/data/make_exports.py writes, the judge is shared/data/score.py, which shares no
code with us. For each export: process, train (one trial), transform, create an endpoint and ask it about the whole test part, all
by boto3 against a server of its own. ``grail`` is the inductive pair: the endpoint of grail-fb237-v1 is asked about the other
graph, of which it knows nothing but what stands in the request; beside it stands what the trainer's evaluation says of the model
on that graph. ``unrated`` asks for ratings that MovieLens has, of which the model and its graph know nothing; beside them stands
what the evaluation says of the model on the graph that has them.
"""

import argparse
import csv
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote_plus

import boto3
import numpy as np
from botocore import UNSIGNED
from botocore.config import Config

NAMES = ("cora", "us-county-income-2012", "movielens-100k-genre", "movielens-100k-scale", "bitcoin-alpha-rating", "umls", "grail",
         "unrated")
CONFIGURATION = "training-data-configuration.json"
BATCH = 50
"""Items in a request."""
SAME = {"accuracy": "acc", "rmse": "rmse", "r2": "r2", "mae": "mae", "mrr": "mrr", "hits@1": "hits@1", "hits@10": "hits@10"}
"""The judge's names, and ours."""
Json = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=NAMES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as folder, Service(Path(folder)) as service:
        for name in options.names:
            own = {"grail": grail, "unrated": unrated}.get(name)
            row = own(service, options.data, options.judge, Path(folder)) if own else transductive(
                service, options.data / name, options.judge, Path(folder))
            rows.append({"name": name, **row})
            print(f"{name:24} " + ", ".join(f"{key} {value:.4f} (by the trainer {row['trainer'][key]:.4f})"
                                            for key, value in row["endpoint"].items()), flush=True)
    print(json.dumps({"bench": "served", "rows": rows}))


class Service:
    """A server, and clients of it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "despina", "serve", "--port", "0", "--data-dir", str(self.data)], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env={**os.environ, "DESPINA_REQUESTS_PER_SECOND": "1000000"})
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(timeout=60)
        url = self._process.stdout.readline().split()[-1]
        config = Config(signature_version=UNSIGNED, read_timeout=300, retries={"total_max_attempts": 1})
        self.neptune = boto3.client("neptunedata", endpoint_url=url, region_name="us-east-1", config=config)
        self.runtime = boto3.client("sagemaker-runtime", endpoint_url=url, region_name="us-east-1", config=config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for endpoint_id in self.neptune.list_ml_endpoints(maxItems=100)["ids"]:
            self.neptune.delete_ml_endpoint(id=endpoint_id)
        while self.neptune.list_ml_endpoints()["ids"]:
            time.sleep(0.05)
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=60)

    def finished(self, kind: str, job_id: str) -> Json:
        get = getattr(self.neptune, f"get_ml_{kind}_job")
        while (job := get(id=job_id))["status"] == "InProgress":
            time.sleep(0.1)
        assert job["status"] == "Completed", job
        found: Json = job
        return found

    def process(self, name: str, export: Path, **members: Any) -> None:
        self.neptune.start_ml_data_processing_job(id=name, inputDataS3Location=export.resolve().as_uri(),
                                                  processedDataS3Location="s3://bench/processed", **members)
        self.finished("data_processing", name)

    def train(self, name: str) -> None:
        self.neptune.start_ml_model_training_job(id=name, dataProcessingJobId=name, trainModelS3Location="s3://bench/models",
                                                 maxHPONumberOfTrainingJobs=1)
        self.finished("model_training", name)

    def transform(self, name: str, data: str, model: str) -> Path:
        """A transform job; the folder of its artefacts."""
        self.neptune.start_ml_model_transform_job(id=name, dataProcessingJobId=data, mlModelTrainingJobId=model,
                                                  modelTransformOutputS3Location="s3://bench/transformed")
        location = self.finished("model_transform", name)["baseProcessingJob"]["outputLocation"]
        return self.data / "s3" / str(location).removeprefix("s3://")

    def serve(self, name: str, **job: str) -> None:
        self.neptune.create_ml_endpoint(id=name, **job)
        while (found := self.neptune.get_ml_endpoint(id=name))["status"] == "Creating":
            time.sleep(0.02)
        assert found["status"] == "InService", found

    def ask(self, name: str, body: Json) -> list[Json]:
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=json.dumps(body).encode())
        [items] = json.loads(answer["Body"].read())["output"].values()
        found: list[Json] = items
        return found


def transductive(service: Service, export: Path, judge: Path, folder: Path) -> Json:
    """Everything from the export to the judge."""
    name = export.name
    service.process(name, export)
    service.train(name)
    artefacts = service.transform(name, name, name)
    service.serve(name, mlModelTransformJobId=name)
    answers = folder / (f"{name}.npz" if is_of_links(export) else f"{name}.tsv")
    if is_of_links(export):
        links_of(service, name, export, answers)
    else:
        values_of(service, name, export, answers)
    return compared(judge, export, answers, artefacts)


def grail(service: Service, data: Path, judge: Path, folder: Path) -> Json:
    """The graph that nothing was learned from, as a subgraph of each request."""
    seen, unseen = data / "grail-fb237-v1", data / "grail-fb237-v1-ind"
    service.process("seen", seen, modelType="heterogeneous")
    service.train("seen")
    service.serve("grail", mlModelTrainingJobId="seen")
    nodes = [{"id": row["~id"], "type": entry["node"][1]} for entry in configuration(unseen)["nodes"]
             for row in rows_of(unseen, entry["file_name"])]
    edges = [{"from": row["~from"], "to": row["~to"], "type": entry["relation"][1]} for entry in configuration(unseen)["edges"]
             for row in rows_of(unseen, entry["file_name"])
             if (row["~from"], row["~to"]) in {*pairs(unseen, entry["labels"][0]["custom_split_filenames"]["train"])}]
    assert edges
    answers = folder / "grail.npz"
    links_of(service, "grail", unseen, answers, subgraph={"nodes": nodes, "edges": edges})
    service.process("unseen", unseen, previousDataProcessingJobId="seen", modelType="heterogeneous")
    return compared(judge, unseen, answers, service.transform("unseen", "unseen", "seen"))


def unrated(service: Service, data: Path, judge: Path, folder: Path) -> Json:
    """Ratings of films that nobody knows the users to have rated: the test part is taken out before anything is processed."""
    whole, export = data / "movielens-100k-score", folder / "unrated"
    shutil.copytree(whole, export)
    hidden = set(pairs(whole, "test.csv"))
    [rated] = (export / "edges").glob("*rated*.csv")
    for path in (rated, export / "test.csv"):
        with (whole / path.relative_to(export)).open(encoding="utf-8", newline="") as file:
            names, *rows = csv.reader(file)
        ends = names.index("~from"), names.index("~to")
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([names, *(row for row in rows if (row[ends[0]], row[ends[1]]) not in hidden)])
    service.process("known", export)
    service.train("known")
    service.serve("unrated", mlModelTrainingJobId="known")
    answers = folder / "unrated.tsv"
    values_of(service, "unrated", whole, answers)
    service.process("whole", whole, previousDataProcessingJobId="known")
    return compared(judge, whole, answers, service.transform("whole", "whole", "known"))


def compared(judge: Path, export: Path, answers: Path, artefacts: Path) -> Json:
    """What the judge makes of the answers, beside what the trainer has said of the model."""
    done = subprocess.run([sys.executable, str(judge), str(export), str(answers)], capture_output=True, text=True, check=True)
    judged, told = json.loads(done.stdout), json.loads((artefacts / "test_metrics_info.json").read_bytes())
    both = {name: ours for name, ours in SAME.items() if name in judged and ours in told}
    if "macro_roc_auc" in judged and "acc" not in told:
        both["macro_roc_auc"] = "roc_auc"
    return {"endpoint": {ours: judged[name] for name, ours in both.items()},
            "trainer": {ours: told[ours] for ours in both.values()}}


def configuration(export: Path) -> Json:
    found: Json = json.loads((export / CONFIGURATION).read_text(encoding="utf-8"))["graph"]
    return found


def labels_of(export: Path) -> list[Json]:
    graph = configuration(export)
    return [label for entry in (*graph["nodes"], *graph["edges"]) for label in entry.get("labels", [])]


def is_of_links(export: Path) -> bool:
    return bool(labels_of(export)[0]["label"][1] == "link_prediction")


def rows_of(export: Path, name: str) -> Iterator[dict[str, str]]:
    path = export / name if (export / name).exists() else export / unquote_plus(name)
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def pairs(export: Path, name: str) -> Iterator[tuple[str, str]]:
    return ((row["~from"], row["~to"]) for row in rows_of(export, name))


def batches(items: list[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch


def values_of(service: Service, name: str, export: Path, into: Path) -> None:
    """Ask for the property of every node or edge of the test part, with the scores of all classes."""
    graph = configuration(export)
    entry, label = next((entry, label) for entry in (*graph["nodes"], *graph["edges"]) for label in entry.get("labels", []))
    test = list(rows_of(export, label["custom_split_filenames"]["test"]))
    given: Json = {"topk": 1000, "property": label["label"][0]}
    if "relation" in entry:
        given["edgeType"] = entry["relation"][1]
        items: list[Json] = [{"headNodeId": row["~from"], "tailNodeId": row["~to"]} for row in test]
    else:
        items = [{"nodeId": row["~id"]} for row in test]
    kind = "edges" if "relation" in entry else "nodes"
    with into.open("w", encoding="utf-8") as file:
        for batch in batches(items):
            for item in service.ask(name, {"data": {"globalParameters": given, kind: batch}}):
                ids = "\t".join(item[end] for end in ("nodeId", "headNodeId", "tailNodeId") if end in item)
                for found in item["predictions"]:
                    told = f"{found['class']}\t{found['score']!r}" if "class" in found else repr(found["value"])
                    file.write(f"{ids}\t{told}\n")


def links_of(service: Service, name: str, export: Path, into: Path, subgraph: Json | None = None) -> None:
    """Ask for all tails and all heads of every link of the test part, with the scores of all candidates."""
    graph = configuration(export)
    names = sorted({row["~id"] for entry in graph["nodes"] for row in rows_of(export, entry["file_name"])})
    at = {node_id: i for i, node_id in enumerate(names)}
    asked: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for entry in graph["edges"]:
        for label in entry.get("labels", []):
            key = (entry["source"][1], entry["relation"][1])
            asked[key] += pairs(export, label["custom_split_filenames"]["test"])
    triples: list[tuple[str, str, str]] = []
    tails: list[Any] = []
    heads: list[Any] = []
    for (_, relation), found in asked.items():
        for batch in batches(found):
            for mode, own, other, rows in (("predict_tail", "headNodeId", 0, tails), ("predict_head", "tailNodeId", 1, heads)):
                body = {"mode": mode, "data": {"globalParameters": {"topk": 10**6, "edgeType": relation}, "edges": [
                    {own: pair[other]} for pair in batch]}} | ({"subgraph": subgraph} if subgraph else {})
                for item in service.ask(name, body):
                    row = np.full(len(names), -1e30)
                    for prediction in item["predictions"]:
                        if prediction["nodeId"] in at:  # of the inductive pair the nodes that were learned from are candidates too
                            row[at[prediction["nodeId"]]] = prediction["rawScore"]
                    rows.append(row)
            triples += [(head, relation, tail) for head, tail in batch]
    np.savez(into, entities=names, triples=triples, tail_scores=np.stack(tails), head_scores=np.stack(heads))


if __name__ == "__main__":
    main()
