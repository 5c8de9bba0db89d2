"""What every artefact store keeps to: folders, those that stand in for S3 and those of ``file://`` locations, and an S3 server."""

import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.contract.artifact_trees import tree
from tests.seaweed import BUCKET, Seaweed

from despina.artifacts import open_artifacts
from despina.core.errors import ArtifactError
from despina.core.location import Location
from despina.core.ports import ArtifactStore, Entry


class Place:
    """A store, a location that belongs to the test, and its surroundings as others see them."""

    def __init__(self, store: ArtifactStore, location: Location) -> None:
        self.store = store
        self.location = location

    def seen(self) -> dict[str, str]:
        """The files around the location (``own``) and their text, without the store."""
        raise NotImplementedError

    def plant(self, contents: Mapping[str, str]) -> None:
        """Put files there, without the store."""
        raise NotImplementedError


class InFolder(Place):
    """Both kinds of folder."""

    def __init__(self, folder: Path, scheme: str) -> None:
        above = f"file://{folder}/files" if scheme == "file" else "s3://bucket"
        self._folder = folder / ("files" if scheme == "file" else "s3/bucket")
        super().__init__(open_artifacts(folder / "s3"), Location.parse(above) / "own")

    def seen(self) -> dict[str, str]:
        return {str(path.relative_to(self._folder)): path.read_text() for path in self._folder.rglob("*") if path.is_file()}

    def plant(self, contents: Mapping[str, str]) -> None:
        tree(self._folder, dict(contents))


class OnServer(Place):
    """SeaweedFS."""

    def __init__(self, seaweed: Seaweed, cache: Path) -> None:
        self._client, self._above = seaweed.client(), f"{uuid.uuid4().hex}/"
        super().__init__(open_artifacts(cache=cache, patience_seconds=20.0), Location.parse(f"s3://{BUCKET}/{self._above}own"))

    def seen(self) -> dict[str, str]:
        found: list[Any] = self._client.list_objects_v2(Bucket=BUCKET, Prefix=self._above).get("Contents", [])
        return {entry["Key"].removeprefix(self._above): self._client.get_object(
            Bucket=BUCKET, Key=entry["Key"])["Body"].read().decode() for entry in found}

    def plant(self, contents: Mapping[str, str]) -> None:
        for key, text in contents.items():
            self._client.put_object(Bucket=BUCKET, Key=self._above + key, Body=text.encode())


@pytest.fixture(params=["s3", "file", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "DESPINA_S3_FOLDER"):
        monkeypatch.delenv(name, raising=False)
    if request.param != "server":
        return InFolder(tmp_path, request.param)
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    for name, value in seaweed.environment().items():
        monkeypatch.setenv(name, value)
    return OnServer(seaweed, tmp_path / "cache")


def text_of(path: Any) -> str:
    return Path(path).read_text()


def test_what_is_put_outlives_its_source(place: Place, tmp_path: Path) -> None:
    source = tree(tmp_path / "out", {"a/b": "kept"})
    place.store.put(source, place.location)
    shutil.rmtree(source)
    assert text_of(place.store.get(place.location) / "a" / "b") == "kept"
    assert place.store.delete(place.location) == 1


def test_what_is_put_twice_is_there_once(place: Place, tmp_path: Path) -> None:
    source = tree(tmp_path / "out", {"a": "first"})
    place.store.put(source, place.location)
    place.store.put(source, place.location)
    assert place.seen() == {"own/a": "first"}, "and no temporary file beside it"
    (source / "a").unlink()
    place.store.put(tree(source, {"a": "other"}), place.location)
    assert place.seen() == {"own/a": "other"}, "although it is as long"


def test_what_is_put_is_found(place: Place, tmp_path: Path) -> None:
    place.store.put(tree(tmp_path / "out", {"a.json": "{}", "deep/er/b": "four", ".hidden": ""}), place.location)
    assert list(place.store.list(place.location)) == [
        Entry(path=".hidden", size=0), Entry(path="a.json", size=2), Entry(path="deep/er/b", size=4)]
    got = place.store.get(place.location)
    assert text_of(got / "deep" / "er" / "b") == "four"
    assert text_of(got / ".hidden") == ""
    assert text_of(place.store.get(place.location / "a.json")) == "{}"
    assert [entry.path for entry in place.store.list(place.location / "deep")] == ["er/b"]
    assert text_of(place.store.get(place.location / "deep") / "er" / "b") == "four"


@pytest.mark.parametrize("place", ["s3", "server"], indirect=True)
def test_a_whole_bucket_can_be_written_and_read(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    name = request.getfixturevalue("seaweed").new_bucket() if isinstance(place, OnServer) else "another"
    bucket = Location(scheme="s3", bucket=name, key="")
    place.store.put(tree(tmp_path / "out", {"a/b": "x"}), bucket)
    assert list(place.store.list(bucket)) == [Entry(path="a/b", size=1)]
    assert text_of(place.store.get(bucket) / "a" / "b") == "x"


def test_names_may_have_any_characters(place: Place, tmp_path: Path) -> None:
    names = {"with space", "per%cent", "per%20cent", "h#sh?", "plus+and&", "\u00fcml\u00e4ut", "quo'te\"", "*[x]{y}", "~id",
             "\u4e2d/\u6587"}
    odd = place.location / "a b%41\u00fc"
    place.store.put(tree(tmp_path / "out", {name: name for name in names}), odd)
    assert {entry.path for entry in place.store.list(odd)} == names
    assert {name: text_of(place.store.get(odd) / name) for name in names} == {name: name for name in names}
    assert place.seen().keys() == {f"own/a b%41\u00fc/{name}" for name in names}
    assert place.store.delete(odd) == len(names)


def test_a_listing_is_in_the_order_of_whole_paths(place: Place, tmp_path: Path) -> None:
    place.store.put(tree(tmp_path / "out", dict.fromkeys(["a/b", "a-b", "a0", "a/b-c/d", "a/b.c"], "")), place.location)
    assert [entry.path for entry in place.store.list(place.location)] == ["a-b", "a/b", "a/b-c/d", "a/b.c", "a0"]


def test_a_files_content_is_read_up_to_a_limit(place: Place, tmp_path: Path) -> None:
    place.store.put(tree(tmp_path / "out", {"a": "four", "none": ""}), place.location)
    assert place.store.content(place.location / "a", limit=4) == b"four"
    assert place.store.content(place.location / "none", limit=1) == b""
    with pytest.raises(ArtifactError, match=r"own/a has more than 3 bytes\."):
        place.store.content(place.location / "a", limit=3)
    for missing in ("b", "a/b"):
        with pytest.raises(ArtifactError, match=rf"own/{missing} "):
            place.store.content(place.location / missing, limit=4)
    with pytest.raises(ArtifactError, match="own"):
        place.store.content(place.location, limit=4)


def test_nothing_is_listed_where_nothing_is(place: Place) -> None:
    assert list(place.store.list(place.location)) == []


def test_getting_what_is_not_there_names_the_location(place: Place) -> None:
    with pytest.raises(ArtifactError, match=f"{place.location}/x does not exist"):
        place.store.get(place.location / "x")


def test_putting_again_replaces_and_keeps_the_rest(place: Place, tmp_path: Path) -> None:
    place.store.put(tree(tmp_path / "1", {"a": "old", "b": "old"}), place.location)
    assert text_of(place.store.get(place.location) / "b") == "old"
    place.store.put(tree(tmp_path / "2", {"b": "new", "c": "new"}), place.location)
    assert place.seen() == {"own/a": "old", "own/b": "new", "own/c": "new"}
    assert text_of(place.store.get(place.location) / "b") == "new"


def test_what_others_replaced_is_read_anew(place: Place, tmp_path: Path) -> None:
    place.store.put(tree(tmp_path / "out", {"a": "ours"}), place.location)
    assert text_of(place.store.get(place.location / "a")) == "ours"
    place.plant({"own/a": "them"})
    assert text_of(place.store.get(place.location / "a")) == "them"


def test_a_source_that_is_not_plain_files_is_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=f"Cannot write to {place.location}.*none.*No such file"):
        place.store.put(tmp_path / "none", place.location)
    linked = tree(tmp_path / "linked", {"a": ""})
    (linked / "b").symlink_to(linked / "a")
    with pytest.raises(ArtifactError, match=f"{place.location}: 'b': symbolic links are not copied"):
        place.store.put(linked, place.location)
    piped = tree(tmp_path / "piped", {"a": ""})
    os.mkfifo(piped / "b")
    with pytest.raises(ArtifactError, match="'b': neither a regular file nor a folder"):
        place.store.put(piped, place.location)


def test_delete_takes_the_location_with_all_that_is_in_it_and_nothing_else(place: Place) -> None:
    around = {"own-2/file": "", "own2/file": "", "owner": "", "ow/file": ""}
    place.plant({"own/a": "", "own/b/c": "", "own/b/.d": "", **around})
    assert place.store.delete(place.location) == 3
    assert place.seen() == around
    assert place.store.delete(place.location) == 0


def test_a_single_file_can_be_deleted(place: Place) -> None:
    place.plant({"own/a": "", "own/b": "x"})
    assert place.store.delete(place.location / "a") == 1
    assert place.seen() == {"own/b": "x"}


def test_deleting_what_is_not_there_deletes_nothing(place: Place) -> None:
    place.plant({"own/a": "x"})
    assert place.store.delete(place.location / "no" / "where") == 0
    assert place.seen() == {"own/a": "x"}


def test_a_whole_bucket_is_never_deleted(place: Place) -> None:
    place.plant({"own/a": "x"})
    with pytest.raises(ArtifactError, match="a whole bucket or a top-level folder"):
        place.store.delete(Location(scheme=place.location.scheme, bucket=place.location.bucket, key=""))
    assert place.seen() == {"own/a": "x"}


def test_asking_whether_a_location_can_be_written_writes_nothing(place: Place) -> None:
    place.plant({"own/a": "x"})
    place.store.check_writable(place.location)
    place.store.check_writable(place.location / "new")
    assert place.seen() == {"own/a": "x"}
