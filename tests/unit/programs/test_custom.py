"""Running a user's own scripts: what they are given, what becomes of what they leave, and how they fail."""

import json
import os
import signal
import time
import zipfile
from dataclasses import replace as replace_context
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.learn.graphs import communities, fan_clubs, ratings
from tests.unit.programs.test_training import MODEL, OUTPUT, PROCESSED, Place

from despina.core.errors import WorkFailed
from despina.core.hyperparameters import End, Strategy, TrialResult
from despina.core.job import CustomCode, StrategyWork, TrainWork, TransformWork
from despina.core.task import Task
from despina.programs import custom, scripts

CODE = CustomCode(source="s3://bucket/code", training="training.py", transform="transform.py")
PARAMETERS: dict[str, Any] = {"hidden-size": 8, "lr": 0.01, "use-bias": True, "fanout": [5, 10]}
TRAIN = TrainWork(processed=PROCESSED, output=MODEL, parameters=PARAMETERS, custom=CODE)
TRANSFORM = TransformWork(processed=PROCESSED, model=MODEL, output=OUTPUT, custom=CODE, parameters=PARAMETERS)
FILE = {"models": [{"model": "custom", "task_type": "node_class", "1-tier-param": [], "2-tier-param": [], "3-tier-param": [],
                    "fixed-param": [{"param": "lr", "type": "float", "default": 0.5}],
                    "eval_metric": {"tuning_objective": {"MetricName": "m", "Type": "Maximize"},
                                    "metric_definitions": [{"Name": "m", "Regex": "m=([0-9.]+)"}]}}]}
TELL = """
import json, os, pathlib, sys
told = {"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd(),
        "data": sorted(os.listdir(os.environ.get("SM_CHANNEL_TRAIN") or os.environ["SM_DATA_DIR"]))}
pathlib.Path(os.environ["SM_MODEL_DIR"], "told.json").write_text(json.dumps(told))
print("m=0.25")
print("m=0.5")
"""


KEEP = "import os, pathlib\npathlib.Path(os.environ['SM_MODEL_DIR'], 'model.pt').write_text('x')\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place.below(tmp_path)
    communities().save(place.bucket / "processed" / "graph")
    return place


def write(place: Place, training: str = TELL, transform: str = "print('done')", **files: str) -> None:
    """Put scripts at the source location."""
    folder = place.bucket / "code"
    folder.mkdir(exist_ok=True)
    for name, content in {"training.py": training, "transform.py": transform, "model-hpo-configuration.json": json.dumps(FILE),
                          **files}.items():
        (folder / name).write_text(content, encoding="utf-8")


def again(place: Place) -> Place:
    """The same place in another run."""
    folder = place.context.folder.with_name(f"run-{time.monotonic_ns()}")
    folder.mkdir()
    return Place(bucket=place.bucket, context=replace_context(place.context, folder=folder))


def test_the_strategy_is_that_of_the_file_beside_the_scripts(place: Place) -> None:
    write(place)
    laid = msgspec.convert(custom.run(StrategyWork(processed=PROCESSED, trials=2, custom=CODE), place.context), Strategy)
    assert (laid.metric, laid.maximize, laid.fixed, laid.tunable) == ("m", True, {"lr": 0.5}, ())
    assert laid.memory_mib >= custom.MEMORY_MIB


@pytest.mark.parametrize(("code", "message"), [
    (replace(CODE, training="train.py"), "no file train.py at s3://bucket/code.*trainingEntryPointScript names it"),
    (replace(CODE, transform="out.py"), "no file out.py at s3://bucket/code.*transformEntryPointScript names it")])
def test_a_missing_script_is_named(place: Place, code: CustomCode, message: str) -> None:
    write(place)
    with pytest.raises(WorkFailed, match=message):
        custom.run(StrategyWork(processed=PROCESSED, trials=2, custom=code), place.context)


def test_a_training_script_is_given_its_arguments_data_and_a_place_for_its_model(place: Place, monkeypatch: Any,
                                                                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("DESPINA_RUN_ID", "r-1")
    write(place)
    result = msgspec.convert(custom.run(TRAIN, place.context), TrialResult)
    assert (result.objective, result.epoch, result.ended) == (0.5, 2, End.EPOCHS)
    told = place.json("model/told.json")
    assert told["arguments"] == [
        "--hidden-size", "8", "--lr", "0.01", "--use-bias", "True", "--fanout", "[5,10]", "--task", "node_class", "--model",
        "custom", "--name", "node_class-custom", "--target_ntype", "user", "--property", "side"]
    assert "graph" in told["data"]
    assert told["environment"]["SM_NUM_GPUS"] == "0"
    assert told["environment"]["DESPINA_RUN_ID"] == "r-1", "by which its processes are found"
    assert "AWS_SECRET_ACCESS_KEY" not in told["environment"]
    assert Path(told["folder"]).name == "code", "scripts can import one another"
    assert Path(told["folder"]).is_relative_to(place.context.folder)
    assert list(place.context.folder.iterdir()) == [], "nothing is left of what was made for it"
    assert "m=0.25" in capsys.readouterr().err, "what it prints is in the log"
    report = place.json("model/training-report.json")
    assert (report["metric"], report["value"], report["values"]) == ("m", 0.5, [0.25, 0.5])


@pytest.mark.parametrize(("graph", "expected"), [
    (ratings(Task.EDGE_REGRESSION),
     ["--task", "edge_regression", "--model", "custom", "--name", "edge_regression-custom", "--target_etype"]),
    (fan_clubs(), ["--task", "link_predict", "--model", "custom", "--name", "link_predict-custom"])])
def test_edges_and_links_are_named_too(graph: Any, expected: list[str]) -> None:
    told = custom.arguments({}, graph.target)
    assert told[:len(expected)] == expected
    if "--target_etype" in told:
        assert told[len(expected)] == "user,rates,item;user,reviews,item"
        assert told[-2] == "--property"
    else:
        assert told == expected


def test_a_script_that_fails_is_quoted(place: Place) -> None:
    write(place, "print('m=1')\nraise SystemExit('no such feature: age')")
    with pytest.raises(WorkFailed, match=r"training.py ended with exit status 1: m=1 / no such feature: age"):
        custom.run(TRAIN, place.context)
    assert not (place.bucket / "model").exists(), "nothing is half written"


def test_a_script_that_never_tells_the_metric_fails(place: Place) -> None:
    write(place, "print('all is well')")
    with pytest.raises(WorkFailed, match=r"training.py never printed the metric m: .*'m=\(\[0-9.\]\+\)'"):
        custom.run(TRAIN, place.context)


def test_a_script_that_is_killed_says_by_what(place: Place) -> None:
    write(place, "import os\nos.kill(os.getpid(), 9)")
    with pytest.raises(WorkFailed, match=r"training.py was killed by SIGKILL, perhaps for lack of memory"):
        custom.run(TRAIN, place.context)


def test_of_a_long_output_the_end_is_quoted(place: Place) -> None:
    write(place, "print('\\n'.join('a' * 300 for _ in range(20)))\nraise SystemExit('the error itself')")
    with pytest.raises(WorkFailed, match=r"the error itself$") as raised:
        custom.run(TRAIN, place.context)
    assert len(str(raised.value)) < 1_024, "plain answers have it too"


def test_a_script_that_leaves_no_model_is_told_where_to_write_one(place: Place) -> None:
    write(place, "print('m=1')")
    with pytest.raises(WorkFailed, match=r"training.py left no model: .* SM_MODEL_DIR names, .* /opt/ml/checkpoints"):
        custom.run(TRAIN, place.context)


def test_what_a_script_leaves_running_does_not_keep_the_run_from_ending(place: Place, monkeypatch: Any) -> None:
    monkeypatch.setattr(scripts, "LAST_WORDS_SECONDS", 0.2)
    write(place, KEEP + "import subprocess, sys\n"
                        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
                        "pathlib.Path(os.environ['SM_MODEL_DIR'], 'pid').write_text(str(child.pid))\nprint('m=1', flush=True)")
    result = msgspec.convert(custom.run(TRAIN, place.context), TrialResult)
    os.kill(int((place.bucket / "model" / "pid").read_text(encoding="utf-8")), signal.SIGKILL)  # the supervisor does it in a job
    assert result.objective == 1


def test_a_script_whose_time_is_over_is_ended_and_its_model_kept(place: Place) -> None:
    write(place, "import os, pathlib, signal\npathlib.Path(os.environ['SM_MODEL_DIR'], 'model.pt').write_text('x')\n"
                 "print('m=0.5', flush=True)\nsignal.pause()")
    result = msgspec.convert(custom.run(replace(TRAIN, until=time.time_ns() // 1_000_000 + 1_500), place.context), TrialResult)
    assert (result.objective, result.ended) == (0.5, End.TIME)
    assert (place.bucket / "model" / "model.pt").read_text(encoding="utf-8") == "x"


def test_requirements_are_installed_beside_our_own_packages(place: Place) -> None:
    wheel = place.bucket / "code" / "greeting-1-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("greeting.py", "WORD = 'm=0.75'")
        archive.writestr("greeting-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1\n")
        archive.writestr("greeting-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("greeting-1.dist-info/RECORD", "")
    write(place, KEEP + "import greeting, torch, despina.learn.tensors\nprint(greeting.WORD)",
          **{"requirements.txt": f"--no-index\n./{wheel.name}\n"})
    assert msgspec.convert(custom.run(TRAIN, place.context), TrialResult).objective == 0.75
    with pytest.raises(ModuleNotFoundError):
        import greeting  # type: ignore[import-not-found]  # noqa: F401 - it must not have come into our own environment


def test_requirements_that_cannot_be_installed_are_named(place: Place) -> None:
    write(place, **{"requirements.txt": "--no-index\nno-such-package-as-this\n"})
    with pytest.raises(WorkFailed, match=r"requirements.txt cannot be installed: .*no-such-package-as-this"):
        custom.run(TRAIN, place.context)


def test_a_transform_script_finds_the_model_and_its_hyperparameters(place: Place) -> None:
    transform = """
import json, os, pathlib, sys
details = json.loads(pathlib.Path(os.environ["SM_OUTPUT_DIR"], "tuning_job_details.json").read_text())
told = json.loads(pathlib.Path(os.environ["SM_MODEL_DIR"], "told.json").read_text())
parameters = details["BestTrainingJob"]["TrainingJobParameters"]
pathlib.Path(os.environ["SM_OUTPUT_DIR"], "predictions.txt").write_text(
    json.dumps({"arguments": sys.argv[1:], "told": told["arguments"][:2], "parameters": parameters}))
pathlib.Path(os.environ["SM_MODEL_DIR"], "late.txt").write_text(",".join(sorted(os.listdir(os.environ["SM_DATA_DIR"]))))
"""
    write(place, transform=transform)
    custom.run(TRAIN, place.context)
    other = again(place)
    assert custom.run(TRANSFORM, other.context) == {"metric": "m", "valid": 0.5}
    assert sorted(path.name for path in (place.bucket / "output").iterdir()) == [
        "late.txt", "predictions.txt", "told.json", "training-report.json", "tuning_job_details.json"]
    found = place.json("output/predictions.txt")
    assert found["arguments"] == []
    assert found["told"] == ["--hidden-size", "8"]
    assert found["parameters"] == {
        "hidden-size": 8, "hidden_size": 8, "lr": 0.01, "use-bias": True, "use_bias": True, "fanout": [5, 10], "task": "node_class",
        "model": "custom", "name": "node_class-custom", "target_ntype": "user", "property": "side"}
    assert "graph" in (place.bucket / "output" / "late.txt").read_text(encoding="utf-8")
    assert not (place.bucket / "model" / "late.txt").exists(), "the trial's own folder is left as it was"


def test_the_processed_data_and_the_scripts_are_left_as_they_were(place: Place) -> None:
    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for name in ("processed", "code") for path in (place.bucket / name).rglob("*")
                if path.is_file()}

    write(place, KEEP + "open('training.py', 'w').write('gone')\nprint('m=1')\n"
                 "for name in ('new', 'graph/new'):\n    pathlib.Path(os.environ['SM_CHANNEL_TRAIN'], name).write_text('x')")
    before = content()
    custom.run(TRAIN, place.context)
    assert content() == before
