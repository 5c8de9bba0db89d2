"""What every store that several processes may open keeps to."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

CREATE_AND_CLAIM = """
import sys
from tests.contract.store_jobs import job
from despina.core.errors import TooManyRequests
from despina.store import open_store
print("ready", flush=True)
sys.stdin.readline()
store, made, held = open_store(sys.argv[1]), [], []
for number in range(10):
    try:
        made.append(store.create(job(f"{sys.argv[2]}-{number}"), invocation=None, max_active=10).id)
    except TooManyRequests:
        pass
while (claim := store.claim(now=1_000, until=2_000)) is not None:
    held.append(claim.job.id)
print(*made, flush=True)
print(*held, flush=True)
"""


def test_processes_share_one_database(shared_url: str | Path) -> None:
    """They open it at once (a file while it does not exist), keep the limit together, and hold no job twice."""
    command = [sys.executable, "-c", CREATE_AND_CLAIM, str(shared_url)]
    processes = [subprocess.Popen([*command, name], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                 for name in "abcd"]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=60)[0].split("\n")[:2] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait(30)
    assert [process.returncode for process in processes] == [0] * 4
    made, held = ([job_id for answer in answers for job_id in answer[line].split()] for line in (0, 1))
    assert len(made) == 10
    assert sorted(made) == sorted(held)
