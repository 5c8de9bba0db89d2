"""The server's certificate: read from files, read anew on demand, or made for development."""

import ipaddress
import logging
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from despina.core.errors import DespinaError

if TYPE_CHECKING:
    from cryptography import x509

logger = logging.getLogger(__name__)

VALID_DAYS = 397
"""Of a certificate that is made; some clients refuse those that hold longer."""
RENEWED_DAYS = 30
"""Before its end it is made anew, when the server starts."""


class TlsError(DespinaError):
    """A certificate or key cannot be used; the text names the files."""


class Certificate:
    """A certificate with its key, for TLS 1.2 and up.

    Raises:
        TlsError: the files cannot be read, or do not go together.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._cert, self._key = cert, key
        self.context = self._load()

    def reload(self) -> None:
        """Read the files anew, for the connections that are made from now on. If they are no good, the old certificate stays."""
        try:
            self._load()  # a context that takes the certificate and then refuses the key would be spoilt
            self.context.load_cert_chain(self._cert, self._key)
        except (TlsError, OSError) as error:
            logger.error("The certificate stays as it was: %s", error)  # noqa: TRY400
        else:
            logger.info("The certificate %s was read anew.", self._cert)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        for path in (self._cert, self._key):
            if not path.is_file():
                raise TlsError(f"There is no file {path}, which a TLS certificate or key is to be read from.")
        try:
            context.load_cert_chain(self._cert, self._key)
        except (OSError, ssl.SSLError) as error:
            raise TlsError(f"The certificate {self._cert} and the key {self._key} cannot be used: {error}.") from None
        return context


def self_signed(folder: Path, host: str) -> Certificate:
    """A certificate for this machine that is signed by itself, for development: made in ``folder`` unless a valid one is there.

    Args:
        folder: Gets ``cert.pem``, which clients are to be told to trust (``AWS_CA_BUNDLE``), and ``key.pem``.
        host: The address listened on; the certificate is for it and for loopback.
    """
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not _is_good(cert, key, host):
        _make(cert, key, host)
    logger.info("The certificate is signed by itself: clients have to trust %s (AWS_CA_BUNDLE=%s).", cert, cert)
    return Certificate(cert, key)


def _names(host: str) -> list[str]:
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", host]))


def _is_good(cert: Path, key: Path, host: str) -> bool:
    from cryptography import x509

    try:
        known = x509.load_pem_x509_certificate(cert.read_bytes())
        names = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    told = {str(name.value) for name in names}
    return (key.is_file() and known.not_valid_after_utc > datetime.now(UTC) + timedelta(days=RENEWED_DAYS)
            and told.issuperset(_names(host)))


def _make(cert: Path, key: Path, host: str) -> None:
    """Make a certificate as RFC 5280 wants those that stand for themselves."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Despina (self-signed)")])
    now = datetime.now(UTC)
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign",
                           "encipher_only", "decipher_only"), False)
    public = private.public_key()
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(text) for text in _names(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(private, hashes.SHA256()))
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        cert.parent.mkdir(parents=True, exist_ok=True)
        _write(key, pem, 0o600)
        _write(cert, made.public_bytes(serialization.Encoding.PEM), 0o644)
    except OSError as error:
        raise TlsError(f"A certificate cannot be made in {cert.parent}: {error.strerror}.") from None


def _general(text: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write(path: Path, content: bytes, mode: int) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.touch(mode)
    fresh.write_bytes(content)
    fresh.replace(path)
