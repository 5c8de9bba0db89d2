"""How good the models of ordinary jobs are: the programs of a processing and a training job, one after another, on real exports.

    python bench/quality.py --data EXPORTS                        every data set of the table
    python bench/quality.py --data EXPORTS cora umls --seeds 3    some of them
    python bench/quality.py --data EXPORTS codex-s --model complex --trials 1

EXPORTS is a folder with the exports that shared/data/make_exports.py writes. Each is processed once. For each seed a job trains as
many trials as --trials says (2 is the API's default) with what was proposed for the data, tuned as a job tunes; the trial that is
best on the validation part is transformed, and its metric on the test part is reported, never chosen by. The last line is JSON.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from despina.artifacts import open_artifacts
from despina.control.tuner import propose
from despina.core.hyperparameters import Strategy, TrialResult
from despina.core.job import ProcessWork, Run, RunKind, RunSpec, RunState, StrategyWork, TrainWork, TransformWork
from despina.programs import process, strategy, train, transform
from despina.programs.context import Context

CONFIGURATION = "training-data-configuration.json"


class Aim(NamedTuple):
    """What is to be reached on a data set."""

    seeds: int
    metric: str
    """Of ``test_metrics_info.json``."""
    published: str
    reach: float
    lower: bool = False
    """Whether lower is better."""
    model: str | None = None
    """The template that is pasted over the proposal; None: what was proposed."""


AIMS = {
    "cora": Aim(10, "acc", "GCN .815, GAT .830", 0.835),
    "pubmed": Aim(5, "acc", ".790", 0.800),
    "aifb": Aim(10, "acc", ".958 (one run), .85-.94 (means)", 0.945),
    "movielens-100k-score": Aim(5, "rmse", "bias .958, GC-MC .905, GLocal-K .889", 0.905, lower=True),
    "us-county-income-2012": Aim(10, "r2", "SAGE .734, LP-GNN .795", 0.795),
    "us-county-education-2012": Aim(10, "r2", ".684, .706", 0.706),
    "bitcoin-alpha-rating": Aim(5, "rmse", "bias 3.17", 3.17, lower=True),
    "umls": Aim(3, "mrr", ".94", 0.95, model="complex"),
    "codex-s": Aim(3, "mrr", "ComplEx .465", 0.470, model="complex"),
    "fb15k-237": Aim(1, "mrr", "ComplEx .348, R-GCN .248", 0.350, model="complex"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="data sets; all of the table if none is given")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, help="instead of as many as the table has")
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--model", help="take this model's template, whatever was proposed")
    options = parser.parse_args()
    rows = []
    for name in options.names or AIMS:
        aim = AIMS[name]
        row = measure(options.data.resolve() / name, aim, seeds=options.seeds or aim.seeds, trials=options.trials,
                      model=options.model or aim.model)
        rows.append({"name": name, **row})
        reached = row["mean"] < aim.reach if aim.lower else row["mean"] >= aim.reach
        print(f"{name:26}{aim.metric:5} {row['mean']:.4f} ± {row['deviation']:.4f} of {len(row['values'])}  ({row['floor_name']} "
              f"{row['floor']:.4f}, published {aim.published}, aim {aim.reach}{', reached' if reached else ''})  "
              f"{row['seconds']:.1f} s a job", flush=True)
    print(json.dumps({"bench": "quality", "trials": options.trials, "rows": rows}))


def measure(export: Path, aim: Aim, *, seeds: int, trials: int, model: str | None) -> dict[str, Any]:
    """The metric on the test part, seed by seed."""
    values, floors, seconds, floor_name = [], [], [], ""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = Programs(folder)
        run(process.run, ProcessWork(input=export.as_uri(), output=(folder / "processed").as_uri(),
                                     config_file_name=CONFIGURATION))
        if model is not None:
            use_template(folder / "processed", model)
        for seed in range(seeds):
            begun = time.monotonic()
            report = job(run, folder, seed=seed, trials=trials)
            seconds.append(time.monotonic() - begun)
            values.append(report["metrics"]["test"][aim.metric])
            floors.append(report["floor"]["metrics"]["test"][aim.metric])
            floor_name = report["floor"]["name"]
    return {"metric": aim.metric, "mean": statistics.mean(values), "deviation": statistics.stdev(values) if seeds > 1 else 0.0,
            "values": values, "floor_name": floor_name, "floor": statistics.mean(floors), "seconds": statistics.median(seconds)}


def use_template(processed: Path, model: str) -> None:
    """Paste a model's template over what was proposed for processed data."""
    proposal = processed / "model-hpo-configuration.json"
    content = (processed / "hpo-configuration-templates" / f"{model}.json").read_bytes()
    proposal.unlink()  # it may be another name of a file that must not change
    proposal.write_bytes(content)


class Programs:
    """Runs programs in this process, each in a folder of its own, without what they print."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def __call__(self, program: Callable[[Any, Context], dict[str, Any]], work: Any) -> dict[str, Any]:
        self._count += 1
        folder = self._folder / "runs" / str(self._count)
        folder.mkdir(parents=True)
        with contextlib.redirect_stdout(StringIO()):
            return program(work, Context(folder=folder, store=open_artifacts()))


def job(run: Programs, folder: Path, *, seed: int, trials: int) -> dict[str, Any]:
    """What a training job does, with this seed in place of the one that all jobs have; its report."""
    processed = folder / "processed"
    model, output = best_trial(run, processed, folder / f"trials-{seed}", seed=seed, trials=trials), folder / f"output-{seed}"
    run(transform.run, TransformWork(processed=processed.as_uri(), model=model, output=output.as_uri()))
    report: dict[str, Any] = json.loads((output / "training-report.json").read_bytes())
    return report


def best_trial(run: Programs, folder: Path, outputs: Path, *, seed: int, trials: int) -> str:
    """The location of the best of so many models that were trained on the processed data in a folder."""
    processed = folder.as_uri()
    found = msgspec.convert(run(strategy.run, StrategyWork(processed=processed, trials=trials)), Strategy)
    train.SEED = seed
    done: list[Run] = []
    for number in range(trials):
        work = TrainWork(processed=processed, output=(outputs / str(number)).as_uri(),
                         parameters=propose(found, number, done))
        result = run(train.run, work)
        spec = RunSpec(run_id=str(number), work=work)
        done.append(Run(id=str(number), kind=RunKind.TRIAL, number=number, state=RunState.SUCCEEDED, result=result, spec=spec))
    sign = 1 if found.maximize else -1
    best = max(done, key=lambda trial: sign * msgspec.convert(trial.result, TrialResult).objective)
    assert isinstance(best.spec.work, TrainWork)
    return best.spec.work.output


if __name__ == "__main__":
    main()
