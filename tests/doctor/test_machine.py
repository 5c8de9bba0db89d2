"""Settings, data directory, disk, clock, limits, address and certificate, each broken for real."""

import http.server
import json
import os
import re
import resource
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.doctor.conftest import Ask, found, statuses
from tests.serving import PATIENCE_SECONDS, Server
from tests.users import unprivileged

from despina import settings
from despina.cli import main
from despina.cli.doctor import configuration, machine, network, principals
from despina.core.principal import Principal
from despina.settings import Settings
from despina.store import open_key_store

SKEWED = """
import argparse, importlib, sys
from despina.cli.doctor.check import Check
from despina.settings import load
import msgspec
part = importlib.import_module(f"despina.cli.doctor.{sys.argv[1]}")
checks = part.examine(load({"data_dir": sys.argv[2]}), argparse.Namespace(location=sys.argv[3] or None, config=None))
print(msgspec.json.encode(list(checks)).decode())
"""


def with_clock(library: str, seconds: int, part: str, data: Path, location: str = "", **environment: str,
               ) -> dict[str, dict[str, str]]:
    """The worst check of each name, of a process whose clock is so many seconds ahead."""
    done = subprocess.run([sys.executable, "-c", SKEWED, part, str(data), location], capture_output=True, text=True,
                          timeout=PATIENCE_SECONDS, check=False,
                          env={**os.environ, **environment, "LD_PRELOAD": library, "SKEW_SECONDS": str(seconds)})
    assert done.returncode == 0, done.stderr
    return {check["name"]: check for check in sorted(json.loads(done.stdout), key=lambda check: check["status"] == "error")}


def test_an_unknown_setting_is_all_that_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "despina.toml"
    file.write_text("prot = 1\n", encoding="utf-8")
    assert main(["doctor", "--config", str(file)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("error    settings")
    assert "did you mean 'port'?" in told
    assert told.endswith("1 checks: 1 error, no warnings.\n")


def test_a_mistyped_variable_and_secrets_that_others_can_read(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "despina.toml"
    file.write_text('[[principals]]\nname = "alice"\n', encoding="utf-8")
    file.chmod(0o644)
    monkeypatch.setenv("DESPINA_DATADIR", "/srv/despina")
    monkeypatch.setenv("DESPINA_OF_SOMEBODY_ELSE", "1")
    checks = ask(configuration.examine, config=str(file))
    assert [check.advice for check in checks if check.status == "warning"] == [
        "did you mean DESPINA_DATA_DIR? Unknown variables are ignored.", f"chmod 600 {file}"]


def test_no_variable_that_despina_reads_is_taken_for_a_mistyped_one(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in Path(settings.__file__).parent.rglob("*.py"))
    of_settings = {f"DESPINA_{name.upper()}" for name in Settings.__struct_fields__}
    names = set(re.findall(r"\bDESPINA_[A-Z0-9_]*[A-Z0-9]\b", source)) - of_settings
    assert len(names) > 8
    for name in names:
        monkeypatch.setenv(name, "")
    assert [check for check in ask(configuration.examine) if check.name == "environment"] == []


def test_a_data_directory_that_can_be_used_is_left_as_it_was(ask: Ask, tmp_path: Path) -> None:
    assert found(ask(machine.examine), "data directory").status == "ok"
    assert list((tmp_path / "data").iterdir()) == []
    told = found(ask(machine.examine, data_dir=str(tmp_path / "not" / "there")), "data directory")
    assert (told.status, "will be made" in told.found) == ("ok", True)
    assert not (tmp_path / "not").exists()


def test_a_file_or_a_folder_of_somebody_else_in_the_place_of_the_data_directory(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = found(ask(machine.examine, data_dir=str(tmp_path / "file")), "data directory")
    assert (told.status, told.found) == ("error", f"{tmp_path / 'file'} is not a folder")
    folder = Path("/tmp") / f"despina-doctor-{os.getpid()}"  # pytest's own folders are closed to other users
    folder.mkdir(mode=0o755)
    try:
        with unprivileged():
            told = found(ask(machine.examine, data_dir=str(folder)), "data directory")
    finally:
        folder.rmdir()
    assert told.status == "error"
    assert "Permission denied" in told.found
    assert "or name another folder with --data-dir" in (told.advice or "")


def test_a_disk_that_is_small_and_one_that_is_full(ask: Ask, small_disk: Path) -> None:
    told = found(ask(machine.examine, data_dir=str(small_disk)), "disk")
    assert (told.status, told.found) == ("error", "6.0 MiB of 6.0 MiB are free")
    assert "make room" in (told.advice or "")
    with (small_disk / "fill").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize)
    told = found(ask(machine.examine, data_dir=str(small_disk)), "data directory")
    assert (told.status, "No space left on device" in told.found) == ("error", True)


def test_a_clock_that_is_wrong_or_has_gone_back(ask: Ask, other_clock: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    told = with_clock(other_clock, -20 * 365 * 86_400, "machine", data)["clock"]
    assert told["status"] == "error"
    assert "which is before Despina was installed" in told["found"]
    (data / "despina.db").touch()
    os.utime(data / "despina.db", (2**31, 2**31))
    told_here = found(ask(machine.examine), "clock")
    assert told_here.status == "error"
    assert "the clock has gone back" in (told_here.advice or "")


def test_too_few_open_files(ask: Ask) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        told = found(ask(machine.examine), "open files")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert told.status == "warning"
    assert "LimitNOFILE=1152" in (told.advice or "")


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of another program's HTTP server."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_port_that_is_free_taken_or_not_ours(ask: Ask, stranger: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert found(ask(network.examine, port=str(port)), "port").found == f"127.0.0.1 port {port} is free"
    told = found(ask(network.examine, port=str(stranger)), "port")
    assert (told.status, "Address already in use" in told.found) == ("error", True)
    assert "choose another port" in (told.advice or "")
    told = found(ask(network.examine, host="203.0.113.1"), "port")
    assert told.status == "error"


def test_a_server_of_this_version_that_is_there_already(ask: Ask, start_server: Callable[..., Server]) -> None:
    server = start_server("--tls-self-signed")
    told = found(ask(network.examine, port=server.url.rpartition(":")[2]), "port")
    assert told.status == "ok"
    assert told.found.endswith("already")


def test_an_address_for_all_without_signatures_and_tls(ask: Ask) -> None:
    checks = ask(network.examine, host="0.0.0.0", port="0")
    assert {check.name for check in checks if check.status == "warning"} == {"certificate", "address"}


@pytest.mark.parametrize(("form", "status", "text"), [
    ({}, "ok", "89 days"),
    ({"ends": 10}, "warning", "9 days"),
    ({"begins": -20, "ends": -2}, "error", "has expired on"),
    ({"begins": 2}, "error", "holds only from"),
    ({"host": "*.example.com"}, "warning", "it is for *.example.com, and not for localhost"),
])
def test_certificates(ask: Ask, certificate: Callable[..., tuple[str, str]], form: dict[str, object], status: str, text: str,
                      ) -> None:
    cert, key = certificate("mine", **form)
    checks = ask(network.examine, host="localhost", port="0", tls_cert=cert, tls_key=key)
    told = found(checks, "certificate")
    assert (told.status, text in told.found) == (status, True), told


def test_a_key_of_another_certificate_a_missing_one_and_one_that_others_can_read(
        ask: Ask, certificate: Callable[..., tuple[str, str]]) -> None:
    (cert, key), (_, other) = certificate("mine"), certificate("other")
    for wrong in (other, f"{key}.not"):
        told = found(ask(network.examine, port="0", tls_cert=cert, tls_key=wrong), "certificate")
        assert told.status == "error"
        assert wrong in told.found
    Path(key).chmod(0o644)
    told = found(ask(network.examine, host="localhost", port="0", tls_cert=cert, tls_key=key), "certificate")
    assert told.advice == f"chmod 600 {key}"


def test_principals_and_the_key_of_their_secrets(ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, policy = tmp_path / "data", tmp_path / "policy.json"
    assert found(ask(principals.examine), "signatures").found == "not demanded (--iam-auth)"
    told = found(ask(principals.examine, iam_auth=True), "principals")
    assert (told.status, "nobody may do anything" in told.found) == ("warning", True)
    assert list(data.iterdir()) == [], "nothing was made"
    policy.write_text('{"Version": "2012-10-17", "Statement": []}', encoding="utf-8")
    assert main(["keys", "grant", "alice", "--policy", str(policy), "--data-dir", str(data)]) == 0
    assert main(["keys", "create", "alice", "--data-dir", str(data), "--json"]) == 0
    assert "AWS_SECRET_ACCESS_KEY" in capsys.readouterr().out
    assert statuses(ask(principals.examine, iam_auth=True)) == {"ok"}
    (data / "secrets.key").chmod(0o644)
    assert found(ask(principals.examine, iam_auth=True), "secrets key").advice == f"chmod 600 {data / 'secrets.key'}"
    (data / "secrets.key").rename(tmp_path / "kept")
    told = found(ask(principals.examine, iam_auth=True), "secrets key")
    assert (told.status, "1 access keys are sealed with it" in told.found) == ("error", True)
    assert not (data / "secrets.key").exists(), "the check makes none"
    (data / "secrets.key").write_text("A" * 43 + "=\n", encoding="ascii")
    told = found(ask(principals.examine, iam_auth=True), "secrets key")
    assert (told.status, "cannot be decrypted" in told.found) == ("error", True)


def test_a_policy_of_the_file_that_is_not_understood(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "despina.toml"
    file.write_text("[[principals]]\nname = \"alice\"\npolicies = ['{}']\n", encoding="utf-8")
    told = found(ask(principals.examine, iam_auth=True, config=str(file)), "principals")
    assert (told.status, "alice" in told.found) == ("error", True)
    with closing(open_key_store(tmp_path / "data" / "despina.db")) as store:
        store.put_principal(Principal(name="bob", arn="arn:aws:iam::123456789012:user/bob", policies=()))
    with closing(sqlite3.connect(tmp_path / "data" / "despina.db")) as connection:
        connection.execute("PRAGMA user_version = 1000")
    assert found(ask(principals.examine, iam_auth=True), "signatures").status == "error"
