"""Secret access keys at rest. A signature can only be checked with the secret itself, so that it cannot be hashed: it is encrypted.

AES-256-GCM with a random nonce for each secret, bound to the access key's id. The key of it all comes from the environment or from
a file beside the database; who has both the database and that key has the secrets.
"""

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from despina.core.errors import DespinaError

VARIABLE = "DESPINA_SECRETS_KEY"
FILE = "secrets.key"
_BYTES = 32
_NONCE = 12


class SecretsKeyError(DespinaError):
    """The key that secrets are encrypted with is missing, malformed, or another one; the text says which and where."""


class SecretBox:
    """Seals secrets and opens them again.

    Args:
        key: 32 bytes.
        source: Where the key comes from, for messages.
    """

    def __init__(self, key: bytes, source: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher, self._source, self._key = AESGCM(key), source, key

    def derived(self, purpose: str) -> bytes:
        """Another key of 32 bytes, which tells nothing about this one (RFC 5869, the expansion of one block)."""
        return hmac.digest(self._key, purpose.encode() + b"\x01", "sha256")

    def seal(self, secret: str, key_id: str) -> bytes:
        """The secret of an access key, encrypted."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), key_id.encode())

    def open(self, sealed: bytes, key_id: str) -> str:
        """The secret again. Raises SecretsKeyError when it was sealed with another key, or for another access key."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], key_id.encode()).decode()
        except (InvalidTag, ValueError):  # the latter of what is too short
            raise SecretsKeyError(f"The secret of the access key '{key_id}' cannot be decrypted with the key of {self._source}: it "
                                  "was encrypted with another one.") from None


def load_box(data_dir: Path, environ: Mapping[str, str]) -> SecretBox:
    """The box with the key of ``DESPINA_SECRETS_KEY`` (32 bytes in base64), else of the file ``secrets.key`` in the data directory,
    which is made when it is missing, for its owner only.

    Raises:
        SecretsKeyError: the key is malformed, or the file cannot be read or made.
    """
    if environ.get(VARIABLE):
        return SecretBox(_decoded(environ[VARIABLE], VARIABLE), VARIABLE)
    path = data_dir / FILE
    try:
        # Another process may make it at the same moment: it appears whole, and the first one stays.
        fresh = path.with_name(f"{FILE}.{os.getpid()}")
        if not path.exists():
            fresh.touch(mode=0o600, exist_ok=False)
            fresh.write_bytes(base64.b64encode(secrets.token_bytes(_BYTES)) + b"\n")
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return SecretBox(_decoded(path.read_text(encoding="ascii").strip(), str(path)), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SecretsKeyError(f"The key of the secrets in {path} cannot be used: {error}.") from None


def _decoded(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _BYTES:
        raise SecretsKeyError(f"{source} must be {_BYTES} random bytes in base64, as `openssl rand -base64 {_BYTES}` makes them.")
    return key
