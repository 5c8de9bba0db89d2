"""The engine: a program is run by it, which imports what programs need and says what it found."""

import argparse
import os
import pwd
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from despina import app
from despina.artifacts import ENDPOINTS
from despina.cli import tables
from despina.cli.doctor.check import Check, error, ok, warning
from despina.cli.doctor.machine import scratch
from despina.core.errors import DespinaError, NotOffered
from despina.core.job import Observation, ProcessWork, RunSpec, RunState
from despina.core.ports import WholeEngine
from despina.engine import open_engine
from despina.engine.machine import memory_limits
from despina.settings import Settings

PROGRAM = "despina.programs.check"
RUN_SECONDS = 60.0
"""How long the program may take: most of it is importing torch."""
FORGET_SECONDS = 5.0
"""Ray lets go of a job some seconds after its end."""
LEAST_MEMORY = 1 << 30
UNLIMITED = 1 << 50
"""Bytes from which on a control group's limit is none."""
OLDEST_RAY = (2, 60)
_NOTHING = ProcessWork(input="", output="", config_file_name="")


def examine(settings: Settings, _options: argparse.Namespace) -> Iterator[Check]:
    """All of it."""
    if settings.engine.startswith("ray"):
        reached = list(_reach(settings))
        yield from reached
        if any(check.status == "error" for check in reached):
            return
    elif settings.engine == "local" and os.environ.get("RAY_ADDRESS"):
        yield warning("engine", "RAY_ADDRESS is set, and the engine is 'local': runs do not see it",
                      "unset it, or name the cluster with --engine ray://HOST:PORT.")
    folder = scratch(settings, "engine")
    try:
        yield from _run(settings, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield from _scripts(settings)


def _reach(settings: Settings) -> Iterator[Check]:
    """The cluster's head: whether it answers, its version and its nodes."""
    from despina.engine.ray_jobs import RayJobs, RayUnreachable

    name: Final = "engine"
    try:
        jobs = RayJobs(settings.engine, token=os.environ.get("RAY_AUTH_TOKEN"))
        ray, nodes = jobs.version(), jobs.nodes()
    except NotOffered as refusal:
        yield error(name, refusal, "correct --engine.")
        return
    except RayUnreachable as refusal:
        yield error(name, refusal, "see that the head runs (ray start --head --dashboard-host=…) and no firewall is between; "
                                   "--engine names the address of its dashboard, whose port is usually 8265. Jobs wait meanwhile.")
        return
    text = (f"Ray {ray} at {settings.engine}: {len(nodes)} node{'s' * (len(nodes) != 1)}, "
            f"{sum(node.cores for node in nodes)} cores, {tables.size(sum(node.memory_mib for node in nodes) * 2**20)} of memory")
    if tuple(int(part) if part.isdigit() else 0 for part in ray.split(".")[:2]) < OLDEST_RAY:
        yield error(name, text, f"Ray {'.'.join(map(str, OLDEST_RAY))} or newer is needed on all nodes.")
    elif not nodes:
        yield error(name, text, "start a node with cores (ray start --address=…): runs wait until there is one.")
    else:
        yield ok(name, text)
    if not any(os.environ.get(variable) for variable in ENDPOINTS):
        yield warning("engine", "no S3 server is configured, and the nodes of a cluster do not see this machine's folders",
                      "set AWS_ENDPOINT_URL_S3 and its keys, unless the cluster is this machine alone.")


def _run(settings: Settings, folder: Path) -> Iterator[Check]:
    """Have the engine run a program."""
    name: Final = "program"
    local = settings.engine == "local"
    began = time.monotonic()
    try:
        engine = open_engine(settings.engine, folder=folder / "runs", module=PROGRAM, on_change=lambda _run_id: None,
                             environment=app.passed_on(os.environ, folder / "s3"), deployment=app.cluster(settings).fingerprint)
    except (DespinaError, OSError) as refusal:
        yield error("engine", refusal, "--engine must be local, or ray://HOST:PORT.")
        return
    run_id = f"doctor-{uuid.uuid4().hex[:12]}"
    try:
        engine.submit(RunSpec(run_id=run_id, work=_NOTHING, share=1_000, memory_mib=256))
        seen = _until_it_ends(engine, run_id)
        log = engine.read(run_id, offset=0, limit=4_096)[0].decode(errors="replace").strip().splitlines()
    except OSError as refusal:
        yield error(name, f"it could not be run: {refusal}", "see that this user may start processes and write files.")
        return
    finally:
        _forget(engine, run_id)
        engine.close()
    if seen.state is RunState.SUCCEEDED and seen.result:
        yield from _found(seen.result, time.monotonic() - began, local=local)
    elif seen.state is RunState.PENDING:
        yield warning(name, f"it has waited for {RUN_SECONDS:.0f} s: no node has a free core",
                      "look at it again when fewer runs go, or start another node.")
    else:
        reason = seen.failure_reason or f"it has not ended in {RUN_SECONDS:.0f} s"
        where = "here" if local else "on every node, of this version"
        yield error(name, f"{reason}{f' (its log ends: {log[-1]})' if log else ''}",
                    f"pip install 'despina[train]=={version('despina')}' {where}; docs/operations.md says what programs need.")


def _until_it_ends(engine: WholeEngine, run_id: str) -> Observation:
    until, pause = time.monotonic() + RUN_SECONDS, 0.05
    while True:
        seen = engine.observe(run_id)
        if seen.state is None or not seen.state.is_live or time.monotonic() > until:
            return seen
        time.sleep(pause)


def _forget(engine: WholeEngine, run_id: str) -> None:
    """Stop it if it still goes, and leave nothing of it with the engine."""
    until = time.monotonic() + FORGET_SECONDS
    with suppress(OSError):
        engine.stop(run_id)
        while time.monotonic() < until:
            with suppress(ValueError):
                engine.forget(run_id)
                return
            time.sleep(0.2)


def _found(found: dict[str, Any], seconds: float, *, local: bool) -> Iterator[Check]:
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    yield ok("program", f"it ran in {seconds:.1f} s ({found['seconds']} s to import): {versions}")
    limits = [limit for _, limit in memory_limits() if limit < UNLIMITED] if local else []
    limit = f", of a control group's {tables.size(min(limits))}" if limits else ""
    text = f"{found['cores']} core{'s' * (found['cores'] != 1)}, {tables.size(found['memoryBytes'])} of memory are free{limit}"
    allowed = found["coresAllowed"]
    if allowed is not None and allowed < found["cores"]:
        yield warning("cores and memory", f"{text}; a control group allows the time of {allowed:g} cores",
                      "runs are planned for all cores, and slowed down: give the container a set of cores (cpuset) and no quota.")
    elif found["memoryBytes"] < LEAST_MEMORY:
        yield warning("cores and memory", text, "a training needs about a gigabyte: end other programs, or raise the limit.")
    else:
        yield ok("cores and memory", text)


def _scripts(settings: Settings) -> Iterator[Check]:
    """What confines code of clients, where it may run."""
    from despina.programs.confined import landlock_version

    if not settings.custom_models:
        return
    name: Final = "custom models"
    user = settings.custom_models_user
    try:
        landlock = landlock_version()
    except OSError as refusal:
        yield warning(name, f"this system cannot confine scripts to their folders (Landlock: {refusal.strerror})",
                      "use a kernel of 5.13 or later with Landlock, or do not let clients name code (DESPINA_CUSTOM_MODELS=false).")
    else:
        yield ok(name, f"scripts are confined to their folders (Landlock {landlock})")
    if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
        yield error(name, f"there is no user '{user}'", f"useradd --system {user}, or correct custom_models_user.")
    elif user and os.geteuid() != 0:
        yield error(name, f"only root can run scripts as '{user}'", "run the server as root, or leave custom_models_user empty.")
