"""What the tests of ``despina doctor`` break, and how they ask it."""

import argparse
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.preloaded import compiled

from despina.cli.doctor import Examination
from despina.cli.doctor.check import Check
from despina.settings import load

Ask = Callable[..., list[Check]]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Makes the checks of one part, of a deployment with these settings and nothing in the environment that is about one."""
    for name in [name for name in os.environ if name.startswith(("DESPINA_", "AWS_", "RAY_"))]:
        monkeypatch.delenv(name)

    def make(examine: Examination, *, location: str | None = None, **settings: object) -> list[Check]:
        flags = {"data_dir": str(tmp_path / "data"), **settings}
        return list(examine(load(flags), argparse.Namespace(location=location, config=settings.get("config"))))

    (tmp_path / "data").mkdir()
    return make


def found(checks: list[Check], name: str) -> Check:
    """The check of this name that is worst."""
    order = {"ok": 0, "warning": 1, "error": 2}
    return max((check for check in checks if check.name == name), key=lambda check: order[check.status])


def statuses(checks: list[Check]) -> set[str]:
    return {check.status for check in checks}


@pytest.fixture
def certificate(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Makes a certificate and its key: the paths of both."""
    def make(name: str, *, host: str = "localhost", begins: int = -1, ends: int = 90) -> tuple[str, str]:
        private, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(private.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now + timedelta(days=begins))
                .not_valid_after(now + timedelta(days=ends))
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False).sign(private, hashes.SHA256()))
        cert, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        key.touch(mode=0o600)
        key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                              serialization.NoEncryption()))
        return str(cert), str(key)
    return make


@pytest.fixture(scope="session")
def other_clock(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library by which a process has another time of day: ``other_clock.c``, compiled."""
    return str(compiled(Path(__file__).with_name("other_clock.c"), tmp_path_factory.mktemp("clock")))
