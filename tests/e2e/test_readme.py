"""The README's first five minutes, as they stand there."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.serving import Server

ROOT = Path(__file__).parents[2]


def test_the_first_five_minutes_with_boto3(start_server: Callable[..., Server]) -> None:
    server = start_server()
    script = "".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL))
    assert "http://127.0.0.1:8182" in script
    done = subprocess.run([sys.executable, "-c", script.replace("http://127.0.0.1:8182", server.url)], cwd=ROOT,
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    ids, end, answer = done.stdout.splitlines()
    assert ids == "['airports-1']"
    status, location = end.split()
    assert status == "Completed"
    assert (server.path(location) / "test_metrics_info.json").is_file(), "the files lie where the README says"
    [item] = json.loads(ast.literal_eval(answer))["output"]["nodes"]
    assert item["predictions"][0]["score"] > item["predictions"][1]["score"]
