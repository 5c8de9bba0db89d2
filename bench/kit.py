"""How long a test suite of a user's takes that trains, lists and cancels with the testing kit, from a cold start.

Each round copies ``examples/testing-kit`` and runs pytest on it in a fresh process, as a user does: pytest, the plugin, the server,
data processing, a training of one trial, its list, a second training that is cancelled with clean, and the end of it all. In the
same round stands a bare ``import torch``, which every run that trains or predicts has to pay.

    python bench/kit.py [--rounds 5]
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "testing-kit"
AIM_SECONDS = 15


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    measured: dict[str, list[float]] = {"floor_import_torch_s": [], "pytest_s": []}
    for _ in range(rounds):
        for name, measure in (("floor_import_torch_s", import_torch), ("pytest_s", run_pytest)):
            measured[name].append(measure())
    medians = {name: statistics.median(values) for name, values in measured.items()}
    for name, median in medians.items():
        print(f"{name:22} median {median:7.3f}   ({min(measured[name]):.3f} to {max(measured[name]):.3f})")
    ratio = medians["pytest_s"] / medians["floor_import_torch_s"]
    print(f"{'example over floor':22} {ratio:.2f} times a bare import of torch; the aim is {AIM_SECONDS} s")
    print(json.dumps({"bench": "kit", "aim_s": AIM_SECONDS, "medians": medians, "example_over_floor": ratio,
                      "rounds": measured}))


def import_torch() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - began


def run_pytest() -> float:
    """Seconds from the start of pytest to its end."""
    with tempfile.TemporaryDirectory(prefix="despina-bench-") as temporary:
        folder = Path(temporary) / "example"
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
        # The plugins of our own tests are not those of the example's project.
        others = [word for name in ("schemathesis", "hypothesispytest", "anyio") for word in ("-p", f"no:{name}")]
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", *others], cwd=folder, capture_output=True, text=True,
                              check=False)
        seconds = time.perf_counter() - began
    if done.returncode != 0 or "3 passed" not in done.stdout:
        raise SystemExit(done.stdout + done.stderr)
    return seconds


if __name__ == "__main__":
    main()
