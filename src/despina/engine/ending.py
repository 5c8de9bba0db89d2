"""The end of all runs of a folder, for servers that are thrown away with all they have."""

import os
import select
import time
from pathlib import Path

from despina.engine.folder import Runs
from despina.engine.outcome import find_end
from despina.engine.processes import open_process, send
from despina.engine.supervisor import STOP

_PAUSE_SECONDS = 0.01


def end_runs(folder: Path) -> None:
    """End every run of a local engine's folder; on return their last process is dead. No engine may work on the folder any more.

    Each run has its grace period, all of them at once.
    """
    if not folder.is_dir():
        return
    runs = Runs(folder.resolve())
    claims = {run_id: claim for run_id in runs.ids() if (claim := runs[run_id].read_claim()) is not None}
    supervisors = [open_process(claim.supervisor) for claim in claims.values() if claim.supervisor is not None]
    living = [pidfd for pidfd in supervisors if pidfd is not None]
    for pidfd in living:
        send(pidfd, STOP)
    for pidfd in living:
        select.select([pidfd], [], [])
        os.close(pidfd)
    for run_id, claim in claims.items():
        while find_end(runs[run_id], claim) is None:  # its supervisor was killed: what is left of it is being killed
            time.sleep(_PAUSE_SECONDS)
