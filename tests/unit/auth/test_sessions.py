"""Sessions: which keys open one, and that it cannot be changed and ends."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from despina.auth.issuing import issue
from despina.auth.secrets import SecretBox
from despina.auth.sessions import SESSION_MS, Sessions, parse
from despina.core.errors import AccessDenied
from despina.core.principal import AccessKey, Credential, Principal

NOW = 1_800_000_000_000
BOX = SecretBox(b"k" * 32, "a test")
SESSIONS = Sessions(lambda: BOX)
ISSUED = issue("alice", BOX, now=NOW)
ALICE = Principal(name="alice", arn="arn:aws:iam::123456789012:user/alice")
TEXT = SESSIONS.sign_in(Credential(key=ISSUED.key, principal=ALICE), secret=ISSUED.secret, token="", now=NOW)


def credential(key: AccessKey = ISSUED.key) -> Credential:
    return Credential(key=key, principal=ALICE)


def check(text: str, found: Credential | None, now: int = NOW + 1) -> None:
    session = parse(text)
    assert session is not None
    SESSIONS.check(session, found, now)


def test_a_session_holds_for_twelve_hours_in_any_process_that_has_the_box() -> None:
    check(TEXT, credential())
    session = parse(TEXT)
    assert session is not None
    assert session.key_id == ISSUED.key.id
    Sessions(lambda: SecretBox(b"k" * 32, "another process")).check(session, credential(), NOW + SESSION_MS - 1)
    with pytest.raises(AccessDenied, match="twelve hours"):
        check(TEXT, credential(), NOW + SESSION_MS)
    with pytest.raises(AccessDenied, match="not one that was begun here"):
        Sessions(lambda: SecretBox(b"j" * 32, "another deployment")).check(
            session, credential(replace(ISSUED.key, sealed=SecretBox(b"j" * 32, "").seal(ISSUED.secret, ISSUED.key.id))), NOW)


def test_it_ends_with_its_key() -> None:
    with pytest.raises(AccessDenied, match="disabled"):
        check(TEXT, credential(replace(ISSUED.key, disabled=True)))
    with pytest.raises(AccessDenied, match="another one now"):
        check(TEXT, None)
    with pytest.raises(AccessDenied, match="another one now"):
        check(TEXT, credential(replace(ISSUED.key, sealed=BOX.seal("another secret", ISSUED.key.id))))


def test_that_of_a_temporary_key_ends_with_it() -> None:
    guest = issue("alice", BOX, now=NOW, seconds=60)
    text = SESSIONS.sign_in(credential(guest.key), secret=guest.secret, token=guest.token or "", now=NOW)
    check(text, credential(guest.key), NOW + 59_999)
    with pytest.raises(AccessDenied, match="ended"):
        check(text, credential(guest.key), NOW + 60_000)


@pytest.mark.parametrize(("secret", "token"), [("wrong", ""), (ISSUED.secret, "a token"), ("", ""), (ISSUED.secret + "x", "")],
                         ids=["another secret", "a token too many", "nothing", "a longer secret"])
def test_what_does_not_belong_together_opens_none(secret: str, token: str) -> None:
    with pytest.raises(AccessDenied, match=r"^The access key id or the secret access key is not right\."):
        SESSIONS.sign_in(credential(), secret=secret, token=token, now=NOW)


def test_an_unknown_key_reads_like_a_wrong_secret() -> None:
    with pytest.raises(AccessDenied, match=r"^The access key id or the secret access key is not right\."):
        SESSIONS.sign_in(None, secret=ISSUED.secret, token="", now=NOW)


@given(place=st.integers(0, len(TEXT) - 1), character=st.sampled_from(string.ascii_letters + string.digits + "-_. é"))
def test_no_character_of_it_can_be_another(place: int, character: str) -> None:
    changed = TEXT[:place] + character + TEXT[place + 1:]
    session = parse(changed)
    if session is None or changed == TEXT:
        return
    with pytest.raises(AccessDenied):
        SESSIONS.check(session, credential(), NOW + 1)


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at(text: str) -> None:
    parse(text)
