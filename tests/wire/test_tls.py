"""HTTPS: certificates from files and made for development, the versions of TLS, and a new certificate without a restart."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import SSLError
from tests.serving import PATIENCE_SECONDS, Server, wait_for

from despina.app.tls import Certificate, TlsError, self_signed

StartServer = Callable[..., Server]


def client(server: Server, verify: Path | None) -> Any:
    return boto3.client("neptunedata", endpoint_url=server.url, region_name="us-east-1", verify=str(verify) if verify else True,
                        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}))


def served(server: Server, maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> tuple[str, bytes]:
    """The version of TLS that is spoken, and the certificate."""
    parts, context = urlsplit(server.url), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = maximum
    with (socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE_SECONDS) as plain,
          context.wrap_socket(plain) as wrapped):
        return wrapped.version() or "", wrapped.getpeercert(binary_form=True) or b""


def test_boto3_trusts_a_certificate_made_for_development(start_server: StartServer) -> None:
    server = start_server("--tls-self-signed")
    cert = server.data_dir / "tls" / "cert.pem"
    assert server.url.startswith("https://127.0.0.1:")
    assert client(server, cert).list_ml_model_training_jobs()["ids"] == []
    with pytest.raises(SSLError):
        client(server, None).list_ml_model_training_jobs()
    assert f"AWS_CA_BUNDLE={cert}" in server.log()
    assert (server.data_dir / "tls" / "key.pem").stat().st_mode & 0o077 == 0
    before = cert.read_bytes()
    server.stop()
    server.start()
    assert cert.read_bytes() == before, "one that is valid is kept"


def test_old_versions_of_tls_and_plain_http_are_refused(start_server: StartServer) -> None:
    server = start_server("--tls-self-signed")
    assert served(server)[0] == "TLSv1.3"
    assert served(server, ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"
    openssl = subprocess.run(
        ["openssl", "s_client", "-connect", server.url.removeprefix("https://"), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        input=b"", capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    assert openssl.returncode != 0
    with server.connect() as connection:
        connection.sendall(b"GET /ml/modeltraining HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" not in connection.recv(65_536)


def test_a_new_certificate_is_read_on_sighup_and_a_bad_one_is_not(start_server: StartServer, tmp_path: Path) -> None:
    first, second = (made(tmp_path / name) for name in ("first", "second"))
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    use(first, cert, key)
    server = start_server("--tls-cert", str(cert), "--tls-key", str(key))
    assert served(server)[1] == der(first)
    cert.write_bytes((second / "cert.pem").read_bytes())  # the key is still that of the other
    os.kill(server.pid, signal.SIGHUP)
    wait_for("a complaint", lambda: "The certificate stays as it was" in server.log())
    assert served(server)[1] == der(first)
    use(second, cert, key)
    os.kill(server.pid, signal.SIGHUP)
    wait_for("the new certificate", lambda: served(server)[1] == der(second))


def test_without_tls_sighup_does_nothing(start_server: StartServer) -> None:
    server = start_server()
    os.kill(server.pid, signal.SIGHUP)
    assert server.request("GET", "/healthz")[0] == 200


@pytest.mark.parametrize(("cert", "key", "said"), [
    ("nowhere.pem", "first/key.pem", "There is no file"), ("first/cert.pem", "second/key.pem", "cannot be used"),
    ("first/key.pem", "first/key.pem", "cannot be used")])
def test_a_certificate_that_cannot_be_used_is_an_error_at_start(tmp_path: Path, cert: str, key: str, said: str) -> None:
    made(tmp_path / "first")
    made(tmp_path / "second")
    done = subprocess.run(
        [sys.executable, "-m", "despina", "serve", "--port", "0", "--data-dir", str(tmp_path / "data"),
         "--tls-cert", str(tmp_path / cert), "--tls-key", str(tmp_path / key)],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert str(tmp_path / cert) in done.stderr


def test_a_certificate_for_another_host_is_made_anew(tmp_path: Path) -> None:
    self_signed(tmp_path, "127.0.0.1")
    before = (tmp_path / "cert.pem").read_bytes()
    self_signed(tmp_path, "localhost")
    assert (tmp_path / "cert.pem").read_bytes() == before
    self_signed(tmp_path, "despina.example.org")
    assert (tmp_path / "cert.pem").read_bytes() != before


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TlsError, match="file"):
        self_signed(tmp_path / "file", "127.0.0.1")


def made(folder: Path) -> Path:
    """A folder with a certificate and its key."""
    self_signed(folder, "127.0.0.1")
    return folder


def use(folder: Path, cert: Path, key: Path) -> None:
    cert.write_bytes((folder / "cert.pem").read_bytes())
    key.write_bytes((folder / "key.pem").read_bytes())
    Certificate(cert, key)


def der(folder: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert((folder / "cert.pem").read_text(encoding="ascii"))
