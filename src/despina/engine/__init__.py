"""Engines run programs (``core.ports.Engine``). ``local`` runs them on this machine; it is the only one so far.

::

    local.py        the three verbs, and reading logs
    scheduler.py    the thread that starts what fits and tells of every change
    journal.py      where something has happened, for several engines on one folder
    launcher.py     starts one run's supervisor
    supervisor.py   a program of its own: keeps one run's whole process tree, and ends it
    outcome.py      what a run's files and processes say of how it ended
    folder.py       the files of a run, each written whole and once
    slots.py        how many cores a run is granted, pure
    machine.py      what this machine has
    processes.py    processes as Linux shows them
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from despina.core.errors import NotOffered
from despina.engine.folder import Runs
from despina.engine.launcher import Launcher
from despina.engine.local import LocalEngine
from despina.engine.machine import this_machine


def open_engine(
    url: str,
    *,
    folder: Path,
    module: str,
    environment: Mapping[str, str],
    on_change: Callable[[str], None],
    cores: int | None = None,
    memory_mib: int | None = None,
    grace_seconds: float = 5.0,
) -> LocalEngine:
    """The engine that the setting ``engine`` names, with the runs that live in its folder taken up again.

    Args:
        url: ``local``.
        folder: Where the runs' folders lie; made if missing. Several engines, also of several processes, may share it.
        module: What a run is: ``python -m module spec.json``.
        environment: Variables added to this process's own for every run.
        on_change: Called with a run's id, from the engine's thread, when the run has started or ended.
        cores: The cores to share out; by default those this process may use.
        memory_mib: The memory to share out, in MiB; by default the machine's, or the control group's limit if that is lower.
        grace_seconds: How long a run that is to end has between SIGTERM and SIGKILL.

    Raises:
        NotOffered: another url than ``local``, or another system than Linux.
        OSError: the folder cannot be made.
    """
    if url != "local":
        raise NotOffered(f"The value '{url}' of the setting 'engine' is not offered yet by this version of Despina; 'local' is.")
    if sys.platform != "linux":
        raise NotOffered(f"The engine 'local' finds processes through /proc and pidfds: it needs Linux, not {sys.platform}.")
    folder.mkdir(parents=True, exist_ok=True)
    machine = this_machine()
    machine = replace(machine, cores=cores or machine.cores, memory_mib=memory_mib or machine.memory_mib)
    return LocalEngine(
        runs=Runs(folder.resolve()),
        machine=machine,
        launch=Launcher(module=module, environment=environment, grace_seconds=grace_seconds),
        on_change=on_change,
    )
