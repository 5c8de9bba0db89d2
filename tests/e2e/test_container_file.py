"""``deploy/Containerfile``, as far as it can be looked at without an engine that builds it."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from tests.serving import Server

from despina.cli import parser
from despina.settings import Settings, load

ROOT = Path(__file__).parents[2]
LINES = [line for line in re.sub(r"\\\n", " ", (ROOT / "deploy" / "Containerfile").read_text(encoding="utf-8")).splitlines()
         if line and not line.startswith("#")]


def arguments(instruction: str) -> list[str]:
    """What an instruction says, as often as it is there."""
    return [line.removeprefix(f"{instruction} ") for line in LINES if line.startswith(f"{instruction} ")]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    copied = [word for line in arguments("COPY") if not line.startswith("--from") for word in line.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name


def test_it_starts_a_server_on_its_volume_as_nobody_in_particular() -> None:
    assert arguments("USER") == ["despina"]
    assert arguments("VOLUME") == ["/data"]
    [entry] = arguments("ENTRYPOINT")
    [command] = arguments("CMD")
    assert json.loads(entry) == ["despina"]
    options = parser().parse_args(json.loads(command))
    variables = dict(word.split("=", 1) for line in arguments("ENV") for word in line.split())
    settings = load(vars(options), environ=variables)
    assert (settings.data_dir, settings.host, str(settings.port)) == (Path("/data"), "0.0.0.0", arguments("EXPOSE")[0])
    assert settings.iam_auth is Settings().iam_auth


def test_the_extras_that_it_installs_are_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    [named] = re.findall(r"despina-\*\.whl\)\[([\w,]+)\]", " ".join(LINES))
    assert set(named.split(",")) <= set(extras)


def test_the_health_check_tells_a_server_that_is_ready(start_server: Callable[..., Server]) -> None:
    server = start_server()
    [text] = arguments("HEALTHCHECK")
    program, *rest = json.loads(text.partition(" CMD ")[2])
    assert program == "python"
    here = [sys.executable, *(word.replace("127.0.0.1:8182", urlsplit(server.url).netloc) for word in rest)]
    assert here[1:] != rest
    assert subprocess.run(here, timeout=30, check=False).returncode == 0
    server.stop()
    assert subprocess.run(here, timeout=30, check=False, stderr=subprocess.DEVNULL).returncode == 1
