"""Engines run programs (``core.ports.Engine``): ``local`` on this machine, ``ray`` on a cluster.

::

    local.py        the verbs, and reading logs
    scheduler.py    the thread that starts what fits and tells of every change
    journal.py      where something has happened, for several engines on one folder
    launcher.py     starts one run's supervisor
    supervisor.py   a program of its own: keeps one run's whole process tree, and ends it
    outcome.py      what a run's files and processes say of how it ended
    folder.py       the files of a run, each written whole and once
    slots.py        how many cores a run is granted, pure
    machine.py      what this machine has
    processes.py    processes as Linux shows them
    lines.py        whole lines of a log

    ray.py          the verbs, and reading logs
    ray_watch.py    the thread that looks at runs and tells of every change
    ray_jobs.py     the cluster's HTTP server
    ray_verdict.py  what the cluster's words say of a run, pure
    ray_record.py   what passes between the engine and a run's node
    ray_run.py      a program of its own: what Ray starts on a node
    services.py     runs on a cluster, services on this machine
"""

import os
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from msgspec.structs import replace

from despina.core.errors import NotOffered
from despina.core.ports import WholeEngine
from despina.engine.folder import Runs
from despina.engine.launcher import Launcher
from despina.engine.local import LocalEngine
from despina.engine.machine import this_machine

_HERE = {"RAY_ADDRESS": ""}
"""What is set for the runs of the engine ``local``: the workers of a training that has several would otherwise be sent to the
cluster that the server's own environment happens to name."""


def open_engine(
    url: str,
    *,
    folder: Path,
    module: str,
    environment: Mapping[str, str],
    on_change: Callable[[str], None],
    grace_seconds: float = 5.0,
    folders: Mapping[str, str] | None = None,
    deployment: str = "",
    is_service: Callable[[str], bool] = lambda _run_id: False,
) -> WholeEngine:
    """The engine that the setting ``engine`` names, with the runs that live in its folder taken up again.

    Args:
        url: ``local``, or ``ray://HOST:PORT``, where the HTTP server of a Ray cluster listens.
        folder: Where the folders of this machine's runs lie; made if missing. Several engines, also of several processes, may
            share it.
        module: What a run is: ``python -m module spec.json``.
        environment: Variables added for every run to this process's own, on a cluster to its node's.
        on_change: Called with a run's id, from the engine's thread, when the run has started or ended.
        grace_seconds: How long a run that is to end has between SIGTERM and SIGKILL.
        folders: Variables that name folders of this machine, for the runs on it.
        deployment: On a cluster, what tells this server's runs from those of others: letters, digits and hyphens.
        is_service: Tells by its id whether a run is a service, which is kept on this machine.

    Raises:
        NotOffered: another url, or another system than Linux.
        OSError: the folder cannot be made.
    """
    if url.startswith("ray"):  # who has no cluster need not wait for its modules at each start
        from despina.engine.ray import Orders, RayEngine
        from despina.engine.ray_jobs import RayJobs
        from despina.engine.services import EngineWithServices

        jobs = RayJobs(url, token=os.environ.get("RAY_AUTH_TOKEN"))
        local = open_engine("local", folder=folder, module=module, environment=environment, on_change=on_change,
                            grace_seconds=grace_seconds, folders=folders)
        orders = Orders(version=version("despina"), module=module, environment=environment, grace_seconds=grace_seconds,
                        cluster=url, deployment=deployment)
        return EngineWithServices(RayEngine(jobs=jobs, orders=orders, on_change=on_change), services=local, is_service=is_service)
    if url != "local":
        raise NotOffered(f"The value '{url}' of the setting 'engine' is not offered: it has to be 'local' or 'ray://HOST:PORT'.")
    return open_local(folder=folder, module=module, environment={**environment, **(folders or {})}, on_change=on_change,
                      grace_seconds=grace_seconds)


def open_local(
    *,
    folder: Path,
    module: str,
    environment: Mapping[str, str],
    on_change: Callable[[str], None],
    cores: int | None = None,
    memory_mib: int | None = None,
    grace_seconds: float = 5.0,
) -> LocalEngine:
    """The engine ``local``; what is not told here is told of ``open_engine``.

    Args:
        cores: The cores to share out; by default those this process may use.
        memory_mib: The memory to share out, in MiB; by default the machine's, or the control group's limit if that is lower.

    Raises:
        NotOffered: another system than Linux.
        OSError: the folder cannot be made.
    """
    if sys.platform != "linux":
        raise NotOffered(f"The engine 'local' finds processes through /proc and pidfds: it needs Linux, not {sys.platform}.")
    folder.mkdir(parents=True, exist_ok=True)
    machine = this_machine()
    machine = replace(machine, cores=cores or machine.cores, memory_mib=memory_mib or machine.memory_mib)
    return LocalEngine(
        runs=Runs(folder.resolve()),
        machine=machine,
        launch=Launcher(module=module, environment={**_HERE, **environment}, grace_seconds=grace_seconds),
        on_change=on_change,
    )
