"""What every key store keeps to: each sentence of ``despina.core.ports.KeyStore``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from despina.core.errors import IdTaken, PrincipalNotFound
from despina.core.ports import KeyStore
from despina.core.principal import AccessKey, Credential, Principal
from despina.store import open_key_store, open_store

ALICE = Principal(name="alice", arn="arn:aws:iam::123456789012:user/alice", policies=('{"Statement": []}', "{}"), boundary="{}")
BOB = Principal(name="bob", arn="arn:aws:iam::123456789012:user/bob")


def key(name: str, principal: str = "alice", at: int = 1) -> AccessKey:
    return AccessKey(id=name, principal=principal, sealed=b"\x00\xff", created_at=at, expires_at=7, token_hash=b"\x01")


@pytest.fixture
def store(database_url: str | Path) -> Iterator[KeyStore]:
    store = open_key_store(database_url)
    yield store
    store.close()


def test_a_key_is_found_with_its_principal_as_they_were_added(store: KeyStore) -> None:
    store.put_principal(ALICE)
    store.add_key(key("AK1"))
    assert store.find("AK1") == Credential(key=key("AK1"), principal=ALICE)
    assert store.find("ak1") is None
    assert store.find("") is None


def test_a_principal_is_found_by_its_arn(store: KeyStore) -> None:
    assert store.principal_of(ALICE.arn) is None
    store.put_principal(ALICE)
    store.put_principal(BOB)
    assert store.principal_of(ALICE.arn) == ALICE
    changed = replace(ALICE, arn="arn:aws:iam::123456789012:role/alice")
    store.put_principal(changed)
    assert store.principal_of(ALICE.arn) is None
    assert store.principal_of(changed.arn) == changed
    store.delete_principal("alice")
    assert store.principal_of(changed.arn) is None


def test_while_nothing_changes_the_same_object_is_found(store: KeyStore) -> None:
    store.put_principal(ALICE)
    store.add_key(key("AK1"))
    first = store.find("AK1")
    assert store.find("nobody") is None
    assert store.find("AK1") is first
    store.put_principal(replace(ALICE, policies=()))
    changed = store.find("AK1")
    assert changed is not None
    assert changed.principal.policies == ()


def test_a_key_can_be_disabled_enabled_and_deleted(store: KeyStore) -> None:
    store.put_principal(ALICE)
    store.add_key(key("AK1"))
    for disabled in (True, True, False):
        assert store.set_disabled("AK1", disabled=disabled)
        found = store.find("AK1")
        assert found is not None
        assert found.key.disabled is disabled
        assert store.keys()[0].disabled is disabled
    assert store.delete_key("AK1")
    assert store.find("AK1") is None
    assert not store.delete_key("AK1")
    assert not store.set_disabled("AK1", disabled=True)


def test_principals_are_listed_by_name_and_keys_by_principal_and_age(store: KeyStore) -> None:
    for principal in (BOB, ALICE):
        store.put_principal(principal)
    for one in (key("B", "bob", 1), key("C", at=9), key("A", at=10)):
        store.add_key(one)
    assert store.principals() == (ALICE, BOB)
    assert [one.id for one in store.keys()] == ["C", "A", "B"]  # noqa: SIM118 - no mapping


def test_a_principal_is_replaced_by_name_and_its_arn_is_its_own(store: KeyStore) -> None:
    store.put_principal(ALICE)
    store.put_principal(replace(ALICE, arn=BOB.arn))
    with pytest.raises(IdTaken, match="The principal 'alice' has the ARN arn:aws:iam::123456789012:user/bob already"):
        store.put_principal(BOB)
    assert store.principals() == (replace(ALICE, arn=BOB.arn),)


def test_a_principal_is_deleted_with_its_keys(store: KeyStore) -> None:
    for principal in (ALICE, BOB):
        store.put_principal(principal)
        store.add_key(key(f"key-of-{principal.name}", principal.name))
    assert store.delete_principal("alice")
    assert not store.delete_principal("alice")
    assert store.find("key-of-alice") is None
    assert [one.id for one in store.keys()] == ["key-of-bob"]  # noqa: SIM118 - no mapping


def test_a_key_needs_a_principal_and_an_id_of_its_own(store: KeyStore) -> None:
    with pytest.raises(PrincipalNotFound, match="There is no principal 'alice'"):
        store.add_key(key("AK1"))
    store.put_principal(ALICE)
    store.add_key(key("AK1"))
    with pytest.raises(IdTaken, match="There is an access key 'AK1' already"):
        store.add_key(key("AK1", at=2))


def test_what_another_process_changes_holds_at_once(shared_url: str | Path) -> None:
    store, second = open_key_store(shared_url), open_key_store(shared_url)
    second.put_principal(ALICE)
    second.add_key(key("AK1"))
    assert store.find("AK1") is not None
    second.set_disabled("AK1", disabled=True)
    found = store.find("AK1")
    assert found is not None
    assert found.key.disabled
    store.close()
    second.close()


def test_keys_lie_beside_jobs_and_outlive_the_process(shared_url: str | Path) -> None:
    jobs = open_store(shared_url)
    first = open_key_store(shared_url)
    first.put_principal(ALICE)
    first.close()
    jobs.close()
    again = open_key_store(shared_url)
    assert again.principals() == (ALICE,)
    again.close()
