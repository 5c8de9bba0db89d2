"""Artefacts on a real S3 server that refuses and fails: buckets, permissions, cut connections, a server killed or stopped."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.contract.artifact_trees import tree
from tests.relay import Relay
from tests.seaweed import BUCKET, READER, SHARED, Seaweed
from tests.serving import PATIENCE_SECONDS, wait_for

from despina.artifacts import open_artifacts
from despina.core.errors import ArtifactError, DespinaError
from despina.core.location import Location
from despina.core.ports import ArtifactStore

MIB = 1 << 20
Open = Callable[..., ArtifactStore]
Relayed = Callable[[Callable[[bool, bytes], bytes | None]], str]


@pytest.fixture
def open_store(seaweed: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens stores; ``cache`` is their cache's name."""
    def open_(*, keys: tuple[str, str] | None = None, endpoint: str | None = None, patience: float = PATIENCE_SECONDS,
              cache: str = "cache") -> ArtifactStore:
        environment = seaweed.environment(endpoint=endpoint) if keys is None else seaweed.environment(keys, endpoint=endpoint)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return open_artifacts(cache=tmp_path / cache, patience_seconds=patience)
    return open_


@pytest.fixture
def relayed(seaweed: Seaweed) -> Iterator[Relayed]:
    """Starts relays before the server; gives their URLs."""
    relays: list[Relay] = []

    def start(wire: Callable[[bool, bytes], bytes | None]) -> str:
        relays.append(Relay(seaweed.port, wire))
        return relays[-1].endpoint

    yield start
    for relay in relays:
        relay.close()


@pytest.fixture
def own() -> Location:
    """A location that belongs to the test."""
    return Location.parse(f"s3://{BUCKET}/{uuid.uuid4().hex}")


def noise(path: Path, size: int, seed: int = 0) -> Path:
    """A file that nothing compresses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def counting(passed: list[int], *, to_server: bool) -> Callable[[bool, bytes], bytes]:
    """A wire that notes how much passes in one direction."""
    def wire(sent: bool, data: bytes) -> bytes:
        if sent is to_server:
            passed.append(len(data))
        return data
    return wire


def cached(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").iterdir())


def test_a_missing_bucket_is_named_by_every_verb(open_store: Open, tmp_path: Path) -> None:
    store, nowhere = open_store(), Location.parse("s3://no-such-bucket/own")
    source = tree(tmp_path / "out", {"a": "x"})
    for verb, call in (("list", lambda: list(store.list(nowhere))), ("list", lambda: store.get(nowhere)),
                       ("list", lambda: store.put(source, nowhere)), ("list", lambda: store.delete(nowhere)),
                       ("list", lambda: store.check_writable(nowhere))):
        with pytest.raises(ArtifactError, match=rf"Cannot {verb} {nowhere}: there is no bucket 'no-such-bucket' at http.*Make it"):
            call()


def test_a_permission_that_is_missing_is_named_with_its_place(open_store: Open, own: Location, tmp_path: Path) -> None:
    shared, source = Location.parse(f"s3://{SHARED}/{own.key}"), tree(tmp_path / "out", {"a": "x"})
    open_store().put(source, shared)
    store = open_store(keys=READER)
    assert (Path(store.get(shared)) / "a").read_text() == "x"
    refused = {"s3:PutObject": (lambda: store.check_writable(shared), lambda: store.put(tree(tmp_path / "2", {"b": ""}), shared)),
               "s3:ListBucket": (lambda: list(store.list(own)), lambda: store.get(own), lambda: store.check_writable(own))}
    for action, calls in refused.items():
        for call in calls:
            with pytest.raises(ArtifactError, match=f"s3://.*: permission denied by the S3 server at .*need {action} there"):
                call()
    with pytest.raises(ArtifactError, match=f"1 of the 1 files at {shared} could not be deleted.*{shared}.*s3:DeleteObject"):
        store.delete(shared)
    assert [entry.path for entry in open_store().list(shared)] == ["a"]


def test_wrong_credentials_are_said_to_be_wrong_and_not_told(open_store: Open, own: Location) -> None:
    for keys, code in ((("OWNERKEY", "wrong-secret"), "SignatureDoesNotMatch"), (("NOBODY", "wrong-secret"), "InvalidAccessKeyId")):
        store = open_store(keys=keys)
        with pytest.raises(ArtifactError, match=f"does not accept the credentials.*{code}.*AWS_SECRET_ACCESS_KEY") as refusal:
            list(store.list(own))
        assert "wrong-secret" not in str(refusal.value)


def test_what_is_wrong_with_the_environment_is_found_when_the_store_is_opened(
        open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DespinaError, match=r"AWS_ENDPOINT_URL_S3 is 'seaweed:8333'; it must be a URL"):
        open_store(endpoint="seaweed:8333")
    open_store()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(DespinaError, match=r"There are no credentials for the S3 server at http.*set AWS_ACCESS_KEY_ID"):
        open_artifacts()


def test_a_server_that_is_not_there_is_waited_for_only_so_long(open_store: Open, own: Location) -> None:
    store = open_store(endpoint="http://127.0.0.1:1", patience=0.5)
    with pytest.raises(ArtifactError, match=r"Cannot list s3://.*the S3 server at http://127.0.0.1:1 gave no answer in 0.5 s"):
        list(store.list(own))


def test_files_of_all_sizes_come_back_as_they_were(open_store: Open, own: Location, tmp_path: Path) -> None:
    store, sizes = open_store(), (0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 19 * MIB)
    for size in sizes:
        noise(tmp_path / "out" / f"{size}", size)
    store.put(tmp_path / "out", own)
    got = Path(store.get(own))
    assert {size: digest(got / f"{size}") for size in sizes} == {size: digest(tmp_path / "out" / f"{size}") for size in sizes}


def test_pages_of_keys_are_listed_and_deleted_to_the_last(open_store: Open, own: Location, seaweed: Seaweed) -> None:
    client = seaweed.client()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: client.put_object(Bucket=BUCKET, Key=f"{own.key}/job/{number:04}", Body=b""), range(1003)))
    client.put_object(Bucket=BUCKET, Key=f"{own.key}/job-2/kept", Body=b"")
    store = open_store()
    assert sum(1 for _ in store.list(own / "job")) == 1003
    assert store.delete(own / "job") == 1003
    assert [entry.path for entry in store.list(own)] == ["job-2/kept"]


def test_what_is_there_is_not_sent_again(open_store: Open, own: Location, relayed: Relayed, tmp_path: Path) -> None:
    sent: list[int] = []
    store = open_store(endpoint=relayed(counting(sent, to_server=True)))
    for name, size in (("small", MIB), ("large", 17 * MIB)):
        noise(tmp_path / "out" / name, size)
    store.put(tmp_path / "out", own)
    assert sum(sent) > 18 * MIB
    sent.clear()
    noise(tmp_path / "out" / "small", MIB, seed=1)  # as long, and other
    store.put(tmp_path / "out", own)
    assert MIB < sum(sent) < 2 * MIB
    assert digest(Path(store.get(own)) / "small") == digest(tmp_path / "out" / "small")


def test_what_was_altered_on_its_way_is_neither_stored_nor_read(
        open_store: Open, own: Location, relayed: Relayed, tmp_path: Path) -> None:
    mark = b"the content itself"
    altered = {True: 2, False: 2}

    def wire(to_server: bool, data: bytes) -> bytes:
        if altered[to_server] and mark in data:
            altered[to_server] -= 1
            return data.replace(mark, b"The content itself")
        return data

    store = open_store(endpoint=relayed(wire))
    tree(tmp_path / "out", {"a": mark.decode(), "large": "-" * 9 * MIB + f"{mark.decode()} {mark.decode()}"})
    store.put(tmp_path / "out", own)
    got = Path(store.get(own))
    assert {name: digest(got / name) for name in ("a", "large")} == {
        name: digest(tmp_path / "out" / name) for name in ("a", "large")}
    assert altered == {True: 0, False: 0}


def test_connections_cut_again_and_again_cost_time_only(open_store: Open, own: Location, relayed: Relayed, seaweed: Seaweed,
                                                         tmp_path: Path) -> None:
    passed, cuts = [0], [6 * MIB, 14 * MIB, 15 * MIB, 30 * MIB, 40 * MIB, 50 * MIB]

    def wire(_: bool, data: bytes) -> bytes | None:
        passed[0] += len(data)
        if cuts and passed[0] > cuts[0]:
            del cuts[0]
            return None
        return data

    store = open_store(endpoint=relayed(wire))
    file = noise(tmp_path / "out" / "large", 24 * MIB)
    store.put(tmp_path / "out", own)
    assert digest(Path(store.get(own)) / "large") == digest(file)
    assert not cuts
    assert unfinished(seaweed, own) == []


def test_a_server_killed_during_an_upload_and_a_download_costs_time_only(
        open_store: Open, own: Location, relayed: Relayed, seaweed: Seaweed, tmp_path: Path) -> None:
    at_half = {True: threading.Event(), False: threading.Event()}
    passed = {True: 0, False: 0}

    def wire(to_server: bool, data: bytes) -> bytes:
        passed[to_server] += len(data)
        if passed[to_server] > 16 * MIB:
            at_half[to_server].set()
        return data

    store = open_store(endpoint=relayed(wire))
    file = noise(tmp_path / "out" / "large", 40 * MIB)
    with ThreadPoolExecutor(1) as pool:
        for to_server, call in ((True, lambda: store.put(tmp_path / "out", own)), (False, lambda: store.get(own))):
            doing = pool.submit(call)
            assert at_half[to_server].wait(PATIENCE_SECONDS)
            seaweed.kill()
            seaweed.start()
            doing.result(PATIENCE_SECONDS)
    assert digest(Path(store.get(own)) / "large") == digest(file)


def test_a_server_that_says_nothing_for_a_while_costs_time_only(open_store: Open, own: Location, seaweed: Seaweed, tmp_path: Path,
                                                                ) -> None:
    patient, impatient = open_store(), open_store(patience=0.5)
    source = tree(tmp_path / "out", {"a": "x"})
    seaweed.pause()
    try:
        with ThreadPoolExecutor(1) as pool:
            putting = pool.submit(patient.put, source, own)
            with pytest.raises(ArtifactError, match=r"gave no answer in 0.5 s"):
                list(impatient.list(own))
            seaweed.go_on()
            putting.result(PATIENCE_SECONDS)
    finally:
        seaweed.go_on()
    assert [entry.path for entry in patient.list(own)] == ["a"]


GETTING = """
import sys
from pathlib import Path
from despina.artifacts import open_artifacts
from despina.core.location import Location
print(open_artifacts(cache=Path(sys.argv[1])).get(Location.parse(sys.argv[2])))
"""
PUTTING = GETTING.replace("print(open_artifacts(cache=Path(sys.argv[1])).get(", "(open_artifacts().put(Path(sys.argv[1]), ")


def killed_after(size: int, relayed: Relayed, seaweed: Seaweed, program: str, *arguments: str, to_server: bool) -> None:
    """Run a program that is killed once so many bytes have passed."""
    passed, enough = [0], threading.Event()

    def wire(sent: bool, data: bytes) -> bytes:
        passed[0] += len(data) * (sent is to_server)
        if passed[0] > size:
            enough.set()
        return data

    environment = {**os.environ, **seaweed.environment(endpoint=relayed(wire))}
    with subprocess.Popen([sys.executable, "-c", program, *arguments], env=environment) as process:
        assert enough.wait(PATIENCE_SECONDS)
        process.kill()
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL


def unfinished(seaweed: Seaweed, location: Location) -> list[str]:
    """The keys that there are unfinished uploads to, relative to a location, its neighbours' included."""
    found = seaweed.client().list_multipart_uploads(Bucket=location.bucket, Prefix=location.key).get("Uploads", [])
    return sorted(upload["Key"].removeprefix(location.key) for upload in found)


def begin(seaweed: Seaweed, location: Location) -> None:
    """Begin to upload in parts, and send one."""
    client, place = seaweed.client(), {"Bucket": location.bucket, "Key": location.key}
    upload = client.create_multipart_upload(**place)["UploadId"]
    client.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"part")


def test_a_process_killed_during_an_upload_leaves_nothing_to_be_seen(
        open_store: Open, own: Location, relayed: Relayed, seaweed: Seaweed, tmp_path: Path) -> None:
    store = open_store()
    noise(tmp_path / "out" / "large", 8 * MIB + 1, seed=1)
    store.put(tmp_path / "out", own)
    before = digest(tmp_path / "out" / "large")
    noise(tmp_path / "out" / "large", 48 * MIB)
    killed_after(20 * MIB, relayed, seaweed, PUTTING, str(tmp_path / "out"), str(own), to_server=True)
    assert digest(Path(store.get(own)) / "large") == before
    assert unfinished(seaweed, own) == ["/large"]
    begin(seaweed, own / "large-2")
    store.put(tmp_path / "out", own)
    assert digest(Path(store.get(own)) / "large") == digest(tmp_path / "out" / "large")
    assert unfinished(seaweed, own) == ["/large-2"], "what was begun of the same file is gone, and nothing else"


def test_unfinished_uploads_are_deleted_with_the_files_and_those_of_neighbours_are_not(
        open_store: Open, own: Location, seaweed: Seaweed) -> None:
    for name in ("job", "job/a b+c&d", "job/ü/~large", "job-2/large", "jobs"):
        begin(seaweed, own / name)
    store = open_store()
    assert store.delete(own / "job") == 0
    assert unfinished(seaweed, own) == ["/job-2/large", "/jobs"]


def test_who_may_not_list_uploads_can_still_delete(open_store: Open, own: Location, relayed: Relayed, seaweed: Seaweed,
                                                    tmp_path: Path) -> None:
    """A server whose answer to that question is no: the first line of such a request is made one that it refuses."""
    store = open_store(endpoint=relayed(lambda sent, data: data.replace(b"?prefix=", b"?prefux=") if sent else data))
    store.put(tree(tmp_path / "out", {"a": "x"}), own)
    begin(seaweed, own / "large")
    assert store.delete(own) == 1
    assert list(store.list(own)) == []
    assert unfinished(seaweed, own) == ["/large"]


def test_a_download_goes_on_where_a_killed_process_was(
        open_store: Open, own: Location, relayed: Relayed, seaweed: Seaweed, tmp_path: Path) -> None:
    store = open_store()
    # Two windows of 64 MiB: the first is written when the second is under way.
    file = noise(tmp_path / "out" / "large", 96 * MIB)
    for number in range(20):
        noise(tmp_path / "out" / f"small/{number}", 1000, seed=number)
    store.put(tmp_path / "out", own)
    # The process finds the server at another URL, and what it fetched is kept by URL: so here, too.
    received: list[int] = []
    endpoint = relayed(counting(received, to_server=False))
    environment = {**os.environ, **seaweed.environment(endpoint=endpoint)}
    command = [sys.executable, "-c", GETTING, str(tmp_path / "cache"), str(own)]
    with subprocess.Popen(command, env=environment) as process:
        wait_for("two thirds", lambda: sum(received) > 66 * MIB)
        process.kill()
    assert [name.rpartition(".")[2] for name in cached(tmp_path)] == ["lock", "part"]
    received.clear()
    got = Path(open_store(endpoint=endpoint).get(own))
    assert digest(got / "large") == digest(file)
    assert len(list((got / "small").iterdir())) == 20
    assert sum(received) < 40 * MIB
    assert len(cached(tmp_path)) == 2, "the entry and its lock"
