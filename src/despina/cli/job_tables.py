"""Jobs as tables for people."""

from typing import Any

from despina.cli import progress, tables

Job = dict[str, Any]
Run = dict[str, Any]


def listing(jobs: list[Job], now: int) -> str:
    """Jobs, each with its ``kind``, as a table."""
    return tables.table(
        ["KIND", "ID", "STATUS", "CREATED (UTC)", "TOOK", "WHAT"],
        [(job["kind"], job["id"], job["status"], tables.when(job["details"]["createdAt"]), tables.duration(_took(job)),
          _what(job, now)) for job in jobs])


def page(kind: str, job: Job) -> str:
    """One job: what is to be said of it, and a table of its runs."""
    details, processing = job["details"], job.get("processingJob", {})
    facts = [("id", job["id"]), ("kind", kind), ("status", job["status"]), ("created (UTC)", tables.when(details["createdAt"])),
             ("started by", details.get("startedBy")), ("cancelled by", details.get("cancelledBy")),
             ("failure", details.get("failureReason")), ("output", processing.get("outputLocation"))]
    facts += [("model", model["name"]) for model in job.get("mlModels", [])]
    runs = sorted(details["runs"], key=lambda run: run.get("startedAt") or run["number"] + 2**60)
    tuned, fixed = _parameters(runs)
    facts += [("parameters", fixed), *(("note", note) for note in details["notes"])]
    facts += [("estimate", _estimate(run)) for run in runs]
    facts += [("warning", warning) for run in runs for warning in run.get("warnings", [])]
    return tables.facts(facts) + "\n\n" + tables.table(
        ["RUN", "STATE", "TOOK", "PROGRESS", "OBJECTIVE", *tuned],
        [(run.get("name") or run["kind"], run["state"], tables.duration(_run_took(run)), _steps(run), run.get("objective"),
          *(str(run.get("parameters", {}).get(name, "-")) for name in tuned)) for run in runs])


def _took(job: Job) -> int | None:
    runs = job["details"]["runs"]
    begun = [run["startedAt"] for run in runs if run.get("startedAt")]
    ended = [run["finishedAt"] for run in runs if run.get("finishedAt")]
    return max(ended) - min(begun) if begun and ended and job["status"] in progress.ENDED else None


def _what(job: Job, now: int) -> str:
    """The end of a job, or how far it is, in a few words."""
    if job["status"] == "Failed":
        return str(job["details"].get("failureReason") or "")[:80]
    if job["status"] not in progress.ENDED:
        return "; ".join(progress.words(run, now) for run in progress.live_runs(job))
    objectives = [run["objective"] for run in job["details"]["runs"] if run.get("objective") is not None]
    return f"{len(objectives)} trials, objectives {', '.join(f'{value:.4f}' for value in objectives)}" if objectives else ""


def _parameters(runs: list[Run]) -> tuple[list[str], str]:
    """The names of the parameters in which the trials differ, and all the others with their values."""
    given = [run["parameters"] for run in runs if run.get("parameters")]
    names = list(given[0]) if given else []
    tuned = [name for name in names if any(parameters.get(name) != given[0][name] for parameters in given)]
    return tuned, " ".join(f"{name}={given[0][name]}" for name in names if name not in tuned)


def _estimate(run: Run) -> str | None:
    """What a run of data processing was expected to take, in a few words."""
    said = run.get("estimate") or run.get("progress", {}).get("estimate")
    if not said:
        return None
    text = (f"{said['nodes']:,} nodes, {said['edges']:,} edges, {said['peakMemoryBytes'] / 2**30:.1f} GiB of memory, "
            f"{tables.duration(said['processingMinutes'] * 60_000)}")
    training = said["trainingMinutes"]
    return text if training is None else f"{text}; training {tables.duration(training * 60_000)} a trial"


def _run_took(run: Run) -> int | None:
    return run["finishedAt"] - run["startedAt"] if run.get("startedAt") and run.get("finishedAt") else None


def _steps(run: Run) -> str | None:
    said = run.get("progress")
    return f"{said['unit']} {said['step']}/{said['of']}" if said else None
