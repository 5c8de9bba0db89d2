"""What every endpoint store keeps to: each sentence of ``despina.core.ports.EndpointStore``."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from despina.core.endpoint import Endpoint
from despina.core.errors import IdTaken, TooManyRequests
from despina.core.ports import EndpointStore
from despina.store import open_store, open_stores


def endpoint(name: str, at: int = 1) -> Endpoint:
    return Endpoint(id=name, created_at=at, resource_name=f"{name}-endpoint")


def create(store: EndpointStore, name: str, at: int = 1, *, invocation: str | None = None, most: int = 10) -> Endpoint:
    return store.create(endpoint(name, at), invocation=invocation, most=most)


@pytest.fixture
def store(database_url: str | Path) -> Iterator[EndpointStore]:
    store = open_stores(database_url).endpoints
    yield store
    store.close()


def test_an_endpoint_is_found_by_its_id_and_by_its_name(store: EndpointStore) -> None:
    assert create(store, "a") == endpoint("a")
    by_id, by_name = store.get("a"), store.get("a-endpoint")
    assert by_id is not None
    assert by_id == by_name
    assert by_id.endpoint == endpoint("a")
    assert store.get("b") is None


def test_an_id_comes_before_a_name(store: EndpointStore) -> None:
    create(store, "a", 1)
    create(store, "a-endpoint", 2)
    found = store.get("a-endpoint")
    assert found is not None
    assert found.endpoint.id == "a-endpoint"


def test_all_of_them_newest_first(store: EndpointStore) -> None:
    for name, at in (("a", 5), ("b", 7), ("c", 5)):
        create(store, name, at)
    assert [stored.endpoint.id for stored in store.all()] == ["b", "c", "a"]


def test_an_id_is_free_again_when_its_endpoint_is_gone(store: EndpointStore) -> None:
    create(store, "a")
    with pytest.raises(IdTaken):
        create(store, "a")
    stored = store.get("a")
    assert stored is not None
    assert store.remove(stored)
    assert store.get("a") is None
    create(store, "a", 9)
    new = store.get("a")
    assert new is not None
    assert new.key != stored.key
    assert not store.write(stored, stored.endpoint), "what was read of the old one is nothing to the new one"
    assert not store.remove(stored)


def test_a_repeated_call_makes_no_other(store: EndpointStore) -> None:
    create(store, "a", invocation="call-1")
    assert create(store, "b", invocation="call-1") == endpoint("a")
    assert store.get("b") is None
    create(store, "b", invocation="call-2")


def test_there_are_so_many_at_most(store: EndpointStore) -> None:
    create(store, "a", most=2)
    create(store, "b", most=2)
    with pytest.raises(TooManyRequests, match=r"limits\.max_endpoints"):
        create(store, "c", most=2)


def test_of_two_who_have_read_the_same_one_writes(store: EndpointStore) -> None:
    create(store, "a")
    first, second = store.get("a"), store.get("a")
    assert first is not None
    assert second is not None
    changed = replace(first.endpoint, deleting=True)
    assert store.write(first, changed)
    assert not store.write(second, replace(second.endpoint, begun=7))
    assert not store.remove(second)
    now = store.get("a")
    assert now is not None
    assert now.endpoint == changed
    assert now.revision == first.revision + 1
    assert store.write(now, replace(changed, begun=1))


def test_writers_at_the_same_time_lose_nothing(store: EndpointStore) -> None:
    create(store, "a")

    def count() -> None:
        for _ in range(20):
            while True:
                stored = store.get("a")
                assert stored is not None
                if store.write(stored, replace(stored.endpoint, begun=stored.endpoint.begun + 1)):
                    break

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = store.get("a")
    assert stored is not None
    assert stored.endpoint.begun == 80


def test_what_was_written_is_there_for_other_processes_and_beside_the_jobs(shared_url: str | Path) -> None:
    jobs, one, other = open_store(shared_url), open_stores(shared_url).endpoints, open_stores(shared_url).endpoints
    create(one, "a")
    assert other.get("a") is not None, "a miss is not remembered either"
    stored = other.get("a")
    assert stored is not None
    assert other.write(stored, replace(stored.endpoint, begun=3))
    again = one.get("a")
    assert again is not None
    assert again.endpoint.begun == 3
    for store in (one, other, jobs):
        store.close()
    with_new = open_stores(shared_url).endpoints
    assert [stored.endpoint.begun for stored in with_new.all()] == [3]
    with_new.close()
