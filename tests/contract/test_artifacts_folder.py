"""What holds for artefacts in folders, those that stand in for S3 and those of ``file://`` locations: links, permissions, disks."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.artifact_trees import tree
from tests.users import unprivileged

from despina.artifacts import open_artifacts
from despina.core.errors import ArtifactError
from despina.core.location import Location
from despina.core.ports import ArtifactStore, Entry


@dataclass(frozen=True, kw_only=True)
class Place:
    """A store, a location that belongs to the test, and the folder where its files can be seen from outside."""

    store: ArtifactStore
    location: Location
    folder: Path

    def names(self) -> list[str]:
        return [entry.path for entry in self.store.list(self.location)]


def place_in(folder: Path, scheme: str) -> Place:
    store = open_artifacts(folder / "s3")
    if scheme == "s3":
        return Place(store=store, location=Location.parse("s3://bucket/own"), folder=folder / "s3" / "bucket" / "own")
    return Place(store=store, location=Location.parse(f"file://{folder}/files/own"), folder=folder / "files" / "own")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "DESPINA_S3_FOLDER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["s3", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place_in(tmp_path, request.param)


@pytest.fixture(params=["s3", "file"])
def public_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A place that other users may enter (pytest's own folders are private)."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield place_in(Path(folder), request.param)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to write beyond ``size`` bytes of any file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system, from which files have to be copied."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        if Path(folder).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is only one file system here")
        yield Path(folder)


def test_what_is_put_outlives_its_source_wherever_that_lay(place: Place, tmp_path: Path, elsewhere: Path) -> None:
    for name, source in (("near", tree(tmp_path / "out", {"a/b": "near"})), ("far", tree(elsewhere / "out", {"a/b": "far"}))):
        place.store.put(source, place.location / name)
        shutil.rmtree(source)
        assert (Path(place.store.get(place.location / name)) / "a" / "b").read_text() == name
    assert place.store.delete(place.location) == 2


def test_getting_what_may_not_be_read_names_the_location(public_place: Place) -> None:
    tree(public_place.folder, {"file": "", "folder/file": ""})
    for name in ("file", "folder"):
        (public_place.folder / name).chmod(0)
        with unprivileged(), pytest.raises(ArtifactError, match=f"{public_place.location}/{name} cannot be read"):
            public_place.store.get(public_place.location / name)
    with unprivileged(), pytest.raises(ArtifactError, match=f"{public_place.location}/folder"):
        list(public_place.store.list(public_place.location / "folder"))


def test_a_reader_sees_the_old_or_the_new_file_and_nothing_between(place: Place, tmp_path: Path) -> None:
    sources = [tree(tmp_path / letter, {"file": letter * 300_000}) for letter in "ab"]
    place.store.put(sources[0], place.location)

    def write() -> None:
        for source in sources * 10:
            place.store.put(source, place.location)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            text = (place.folder / "file").read_text()
            assert (len(text), len(set(text))) == (300_000, 1)
            assert place.names() == ["file"]
        writing.result()


def test_a_refused_write_names_the_location_and_leaves_nothing_behind(place: Place, tmp_path: Path, elsewhere: Path) -> None:
    place.store.put(tree(tmp_path / "1", {"big": "old"}), place.location)
    source = tree(elsewhere / "2", {"big": "new" * 10_000})
    with files_of_at_most(4096), pytest.raises(ArtifactError, match=f"Cannot write to {place.location}: File too large"):
        place.store.put(source, place.location)
    assert [path.name for path in place.folder.iterdir()] == ["big"]
    assert (place.folder / "big").read_text() == "old"


DIE_WRITING = """
import resource, signal, sys
from pathlib import Path
from despina.artifacts import open_artifacts
from despina.core.location import Location
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
open_artifacts(Path(sys.argv[1])).put(Path(sys.argv[2]), Location.parse(sys.argv[3]))
"""


def test_a_process_that_dies_writing_leaves_nothing_to_be_seen_and_delete_finds_it(
        place: Place, tmp_path: Path, elsewhere: Path) -> None:
    source = tree(elsewhere / "out", {"big": "x" * 30_000})
    command = [sys.executable, "-c", DIE_WRITING, str(tmp_path / "s3"), str(source), str(place.location / "first")]
    died = subprocess.run(command, timeout=60, check=False)
    assert died.returncode == -signal.SIGXFSZ
    assert len(list((place.folder / "first").iterdir())) == 1
    assert place.names() == []
    place.store.put(place.folder / "first", place.location / "second")
    assert list((place.folder / "second").iterdir()) == []
    assert place.store.delete(place.location) == 1
    assert not place.folder.exists()


def test_a_folder_is_not_put_into_itself(place: Place) -> None:
    tree(place.folder, {"a": ""})
    with pytest.raises(ArtifactError, match=f"{place.location}/b lies in the folder that is to be copied"):
        place.store.put(place.folder, place.location / "b")
    assert place.names() == ["a"]


def test_a_link_in_a_circle_is_an_error_of_the_location(place: Place, tmp_path: Path) -> None:
    place.folder.parent.mkdir(parents=True)
    place.folder.symlink_to(place.folder)
    with pytest.raises(ArtifactError, match=f"Cannot write to {place.location}"):
        place.store.put(tree(tmp_path / "out", {"a": ""}), place.location)
    with pytest.raises(ArtifactError, match=f"{place.location} does not exist"):
        place.store.get(place.location)
    assert place.store.delete(place.location) == 1


@pytest.mark.parametrize("link", ["", "sub", "sub/deep"])
def test_nothing_is_written_through_a_link_within_the_location(place: Place, tmp_path: Path, link: str) -> None:
    outside = tree(tmp_path / "outside", {"file": "theirs"})
    (place.folder / link).parent.mkdir(parents=True, exist_ok=True)
    (place.folder / link).symlink_to(outside)
    source = tree(tmp_path / "out", {"sub/deep/file": "ours", "sub/deep/new": ""})
    with pytest.raises(ArtifactError, match=f"Cannot write to {place.location}.*Not a directory"):
        place.store.put(source, place.location)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"file": "theirs"}


def test_no_link_above_the_location_is_followed_below_the_bucket(tmp_path: Path) -> None:
    outside, bucket = tree(tmp_path / "outside", {"own/file": "theirs"}), tmp_path / "s3" / "bucket"
    bucket.mkdir(parents=True)
    (bucket / "up").symlink_to(outside)
    store, location = open_artifacts(tmp_path / "s3"), Location.parse("s3://bucket/up/own")
    with pytest.raises(ArtifactError, match="s3://bucket/up/own"):
        store.put(tree(tmp_path / "out", {"file": "ours"}), location)
    with pytest.raises(ArtifactError, match="s3://bucket/up/own"):
        store.delete(location)
    assert (outside / "own" / "file").read_text() == "theirs"


def test_a_file_replaces_a_link_and_not_what_it_points_at(place: Place, tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", {"file": "theirs"})
    place.folder.mkdir(parents=True)
    (place.folder / "file").symlink_to(outside / "file")
    place.store.put(tree(tmp_path / "out", {"file": "ours"}), place.location)
    assert (place.folder / "file").read_text() == "ours"
    assert (outside / "file").read_text() == "theirs"


def test_the_operator_may_keep_the_files_elsewhere(tmp_path: Path) -> None:
    elsewhere = tree(tmp_path / "disk", {"export/nodes.csv": "~id"})
    (tmp_path / "s3").symlink_to(tmp_path / "disk")
    (elsewhere / "bucket").symlink_to(elsewhere)
    (elsewhere / "linked").symlink_to(elsewhere / "export")
    for url in ("s3://bucket/{}", f"file://{tmp_path}/s3/bucket/{{}}"):
        store = open_artifacts(tmp_path / "s3")
        assert list(store.list(Location.parse(url.format("linked")))) == [Entry(path="nodes.csv", size=3)]
        store.put(elsewhere / "export", Location.parse(url.format("out")))
        assert (elsewhere / "out" / "nodes.csv").read_text() == "~id"
        assert store.delete(Location.parse(url.format("out"))) == 1
        assert not (elsewhere / "out").exists()


def test_a_link_is_listed_as_itself_and_not_entered(place: Place, tmp_path: Path) -> None:
    tree(tmp_path / "outside", {"secret": "x" * 1000})
    place.folder.mkdir(parents=True)
    (place.folder / "link").symlink_to(tmp_path / "outside")
    (place.folder / "lost").symlink_to("nowhere")
    os.mkfifo(place.folder / "pipe")
    assert list(place.store.list(place.location)) == [
        Entry(path="link", size=len(str(tmp_path / "outside"))), Entry(path="lost", size=len("nowhere"))]


@pytest.mark.parametrize("link", ["", "link", "deep/link"])
def test_links_are_deleted_and_what_they_point_at_is_not(place: Place, tmp_path: Path, link: str) -> None:
    outside = tree(tmp_path / "outside", {"folder/file": "theirs"})
    (place.folder / link).parent.mkdir(parents=True, exist_ok=True)
    (place.folder / link).symlink_to(outside)
    assert place.store.delete(place.location) == 1
    assert not place.folder.is_symlink()
    assert not place.folder.exists()
    assert (outside / "folder" / "file").read_text() == "theirs"


def test_a_folder_swapped_for_a_link_during_the_walk_does_not_lead_outside(place: Place, tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", {f"{number}": "theirs" for number in range(20)})
    for attempt in range(20):
        inner = tree(place.folder / "inner", {f"{number}": "" for number in range(20)})
        link = tmp_path / f"link{attempt}"
        link.symlink_to(outside)
        with ThreadPoolExecutor(1) as pool:
            deleting = pool.submit(place.store.delete, place.location)
            while not deleting.done():
                try:
                    inner.rename(tmp_path / f"moved{attempt}")
                    link.rename(inner)
                except OSError:
                    break
            error = deleting.exception()
        assert error is None or isinstance(error, ArtifactError)
        assert len(list(outside.iterdir())) == 20
        place.store.delete(place.location)


def test_what_cannot_be_deleted_is_told_after_the_rest_was(public_place: Place) -> None:
    tree(public_place.folder, {"a/file": "", "locked/file": "", "z/file": ""})
    for name, mode in (("", 0o777), ("a", 0o777), ("locked", 0o555), ("z", 0o777)):
        (public_place.folder / name).chmod(mode)
    told = f"3 of the files and folders at {public_place.location} could not be deleted; the first is 'file': Permission denied"
    with unprivileged(), pytest.raises(ArtifactError, match=told):
        public_place.store.delete(public_place.location)
    assert public_place.names() == ["locked/file"]
    (public_place.folder / "locked").chmod(0o777)


@pytest.mark.parametrize("location", [
    Location.parse("s3://bucket"), Location(scheme="file", bucket="", key=""), Location.parse("file:///no-such-top-level-folder")])
def test_a_bucket_or_a_top_level_folder_is_never_deleted(tmp_path: Path, location: Location) -> None:
    tree(tmp_path / "s3", {"bucket/file": ""})
    with pytest.raises(ArtifactError, match="a whole bucket or a top-level folder"):
        open_artifacts(tmp_path / "s3").delete(location)
    assert (tmp_path / "s3" / "bucket" / "file").exists()


def test_the_folder_that_stands_in_for_s3_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, {"bucket/file": ""})
    with pytest.raises(ArtifactError, match=r"s3://bucket/file cannot be used.*DESPINA_S3_FOLDER"):
        open_artifacts().get(Location.parse("s3://bucket/file"))
    monkeypatch.setenv("DESPINA_S3_FOLDER", str(tmp_path))
    assert open_artifacts().get(Location.parse("s3://bucket/file")) == tmp_path / "bucket" / "file"


def test_whether_a_location_can_be_written_is_known_without_writing(public_place: Place) -> None:
    with unprivileged(), pytest.raises(ArtifactError, match=f"Cannot write to {public_place.location}: permission denied"):
        public_place.store.check_writable(public_place.location)
    public_place.store.check_writable(public_place.location)
    assert not public_place.folder.exists()
    tree(public_place.folder.parent, {"own": "a file"})
    with pytest.raises(ArtifactError, match="is not a folder"):
        public_place.store.check_writable(public_place.location / "below")
