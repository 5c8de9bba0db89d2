"""Sessions of people who have signed in with an access key, in a browser, which cannot sign its requests.

A session is a text that the browser keeps: an access key's id, until when, a random token, and their HMAC under a key that is
derived from that of the secrets and from the access key's secret. So every process of a deployment accepts it, nothing has to be
stored, and it ends when its time is over, when the access key is disabled, deleted or expired, and when its secret is another one.
"""

import base64
import hmac
import re
import secrets
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from despina.auth.claims import refuse
from despina.auth.principals import check_usable
from despina.auth.secrets import SecretBox
from despina.auth.sigv4 import hash_token
from despina.core.errors import AccessDenied
from despina.core.principal import Credential

SESSION_MS = 12 * 3_600_000
"""How long a session holds."""

_FORM = re.compile(r"([A-Za-z0-9_-]{1,400})\.([1-9][0-9]{0,14})\.([A-Za-z0-9_-]{32})\.([A-Za-z0-9_-]{43})")
_WRONG = "The access key id or the secret access key is not right."


class Session(NamedTuple):
    """What a session's text says. It is not true before ``Sessions.check`` has said so."""

    key_id: str
    until: int
    """ms since 1970."""
    token: str
    """Random; forms that act in the session carry it."""
    seal: str


def parse(text: str) -> Session | None:
    """The session of a text; None if it has not the form of one."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    try:
        key_id = base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)).decode()
    except ValueError:
        return None
    # Of the ways to write an id only one is ours, so that no character of a session can be another.
    return Session(key_id, int(found[2]), found[3], found[4]) if _text(key_id.encode()) == found[1] else None


class Sessions:
    """Opens sessions, and tells whether one holds. Calls may come from several threads.

    Args:
        open_box: Gives the box that secrets lie in; asked once.
    """

    def __init__(self, open_box: Callable[[], SecretBox]) -> None:
        self._open_box = open_box

    @cached_property
    def _box(self) -> SecretBox:
        return self._open_box()

    @cached_property
    def _key(self) -> bytes:
        return self._box.derived("despina console sessions")

    def sign_in(self, credential: Credential | None, *, secret: str, token: str, now: int) -> str:
        """The text of a new session.

        Args:
            credential: Of the access key id that was given; None if there is no such key.
            secret: The secret access key that was given.
            token: The session token that was given; empty: none.
            now: ms since 1970.

        Raises:
            AccessDenied: key, secret and token do not belong together (the text does not tell which is wrong), or the key is
                disabled or has expired.
        """
        # Without a key as much is done as with one: the time tells nothing.
        known = self._secret(credential) if credential else secrets.token_urlsafe(30)
        right = hmac.compare_digest(known.encode(), secret.encode())
        wanted = credential.key.token_hash if credential else None
        if wanted is not None:
            right &= hmac.compare_digest(hash_token(token.encode()), wanted)
        if not right or credential is None or (wanted is None and token):
            raise refuse(_WRONG, "Temporary keys need their session token, too; others have none.")
        check_usable(credential.key, now)
        until = min(now + SESSION_MS, credential.key.expires_at or now + SESSION_MS)
        begin = _begin(credential.key.id, until, secrets.token_urlsafe(24))
        return f"{begin}.{self._seal(begin, known)}"

    def check(self, session: Session, credential: Credential | None, now: int) -> None:
        """Refuse a session that does not hold, or not any more.

        Args:
            session: As it was parsed.
            credential: Of its access key, as it is now; None if there is none any more.
            now: ms since 1970.

        Raises:
            AccessDenied: it does not hold; the text says why.
        """
        begin = _begin(session.key_id, session.until, session.token)
        if credential is None or not hmac.compare_digest(self._seal(begin, self._secret(credential)), session.seal):
            raise AccessDenied("The session is not one that was begun here, or its access key is another one now. Sign in again.")
        if session.until <= now:
            raise AccessDenied("The session has ended: it holds for twelve hours. Sign in again.")
        check_usable(credential.key, now)

    def _secret(self, credential: Credential) -> str:
        return self._box.open(credential.key.sealed, credential.key.id)

    def _seal(self, begin: str, secret: str) -> str:
        mac = hmac.digest(hmac.digest(self._key, secret.encode(), "sha256"), begin.encode(), "sha256")
        return _text(mac)


def _begin(key_id: str, until: int, token: str) -> str:
    """All of a session's text but its seal."""
    return f"{_text(key_id.encode())}.{until}.{token}"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
