"""Secrets at rest: sealed, opened, and bound to their key and their access key."""

import base64
from pathlib import Path

import pytest

from despina.auth.secrets import SecretsKeyError, load_box

OWN = {"DESPINA_SECRETS_KEY": base64.b64encode(bytes(range(32))).decode()}


def test_a_secret_is_opened_as_it_was_and_never_looks_the_same(tmp_path: Path) -> None:
    box = load_box(tmp_path, {})
    sealed = [box.seal("wJalrXUtnFEMI/K7MDENG", "AKIA1") for _ in range(2)]
    assert sealed[0] != sealed[1]
    assert [box.open(one, "AKIA1") for one in sealed] == ["wJalrXUtnFEMI/K7MDENG"] * 2
    assert b"wJalr" not in b"".join(sealed)


def test_the_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    sealed = load_box(tmp_path, {}).seal("secret", "AKIA1")
    assert load_box(tmp_path, {}).open(sealed, "AKIA1") == "secret"
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.key"]
    assert (tmp_path / "secrets.key").stat().st_mode & 0o777 == 0o600


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    sealed = load_box(tmp_path, OWN).seal("secret", "AKIA1")
    assert not list(tmp_path.iterdir())
    with pytest.raises(SecretsKeyError, match="was encrypted with another one"):
        load_box(tmp_path, {}).open(sealed, "AKIA1")


def test_what_was_changed_or_belongs_to_another_key_is_not_opened(tmp_path: Path) -> None:
    box = load_box(tmp_path, OWN)
    sealed = box.seal("secret", "AKIA1")
    for other, key_id in ((sealed[:-1] + bytes([sealed[-1] ^ 1]), "AKIA1"), (sealed, "AKIA2"), (b"", "AKIA1")):
        with pytest.raises(SecretsKeyError, match=f"The secret of the access key '{key_id}' cannot be decrypted"):
            box.open(other, key_id)


@pytest.mark.parametrize("text", ["short", "AAAA", "not base64 at all!", base64.b64encode(b"x" * 31).decode()])
def test_a_malformed_key_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SecretsKeyError, match="DESPINA_SECRETS_KEY must be 32 random bytes in base64"):
        load_box(tmp_path, {"DESPINA_SECRETS_KEY": text})
    (tmp_path / "secrets.key").write_text(text, encoding="ascii")
    with pytest.raises(SecretsKeyError, match=r"secrets\.key must be 32 random bytes in base64"):
        load_box(tmp_path, {})
