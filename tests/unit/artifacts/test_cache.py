"""The cache of what was downloaded: shared by processes, bounded, and as whole after a kill as before."""

import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from tests.serving import PATIENCE_SECONDS

from despina.artifacts.cache import Cache

PROCESS = """
import sys
from pathlib import Path
from despina.artifacts.cache import Cache

def fill(whole, unfinished):
    found = sorted(path.name for path in unfinished.iterdir())
    (unfinished / "begun").touch()
    print("filling", *found, flush=True)
    sys.stdin.readline()
    (whole / "file").write_text("content")

print(Cache(Path(sys.argv[1])).entry(sys.argv[2], fill), flush=True)
sys.stdin.readline()
"""


class User:
    """A process that asks for an entry. It stops when it is to fill it, and when it has it, until ``go_on``."""

    def __init__(self, folder: Path, name: str) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", PROCESS, str(folder), name], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)

    def says(self) -> str:
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe(self._process.stdout), selectors.EVENT_READ)
            assert selector.select(PATIENCE_SECONDS), "it says nothing"
        return self._pipe(self._process.stdout).readline().strip()

    def go_on(self) -> None:
        pipe = self._pipe(self._process.stdin)
        pipe.write("\n")
        pipe.flush()

    def kill(self) -> None:
        self._process.kill()
        assert self._process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        for pipe in (self._process.stdin, self._process.stdout):
            self._pipe(pipe).close()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def filler(text: str = "content") -> Callable[[Path, Path], None]:
    def fill(whole: Path, _: Path) -> None:
        (whole / "file").write_text(text)
    return fill


def never(whole: Path, unfinished: Path) -> None:
    raise AssertionError("it was there")


def test_two_processes_that_want_the_same_fetch_it_once(tmp_path: Path) -> None:
    first = User(tmp_path, "x")
    assert first.says() == "filling"
    second = User(tmp_path, "x")
    first.go_on()
    place = first.says()
    assert second.says() == place, "without filling"
    assert (Path(place) / "file").read_text() == "content"
    for user in (first, second):
        user.kill()


def test_who_comes_after_a_killed_process_goes_on_with_what_it_left(tmp_path: Path) -> None:
    first = User(tmp_path, "x")
    assert first.says() == "filling"
    first.kill()
    assert not [path for path in tmp_path.iterdir() if path.suffix not in {".part", ".lock"}], "what is not whole is not seen"
    second = User(tmp_path, "x")
    assert second.says() == "filling begun"
    second.go_on()
    assert (Path(second.says()) / "file").read_text() == "content"
    second.kill()
    assert not list(tmp_path.glob("*.part"))


def test_an_entry_that_could_not_be_filled_is_filled_by_the_next_who_asks(tmp_path: Path) -> None:
    def failing(whole: Path, unfinished: Path) -> None:
        raise OSError("no")

    cache = Cache(tmp_path)
    with pytest.raises(OSError, match="no"):
        cache.entry("x", failing)
    assert (cache.entry("x", filler()) / "file").read_text() == "content"
    assert cache.entry("x", never) == Cache(tmp_path).entry("x", never)


def test_what_nobody_uses_goes_when_room_is_needed_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = User(tmp_path, "used")
    used.says()
    used.go_on()
    in_use = Path(used.says())
    places = {}
    for age, name in ((30, "recent"), (50, "oldest"), (40, "old")):
        reader = User(tmp_path, name)
        reader.says()
        reader.go_on()
        places[name] = Path(reader.says())
        reader.kill()
        os.utime(places[name].with_name(f"{places[name].name}.lock"), (1000 - age, 1000 - age))
    os.utime(in_use.with_name(f"{in_use.name}.lock"), (0, 0))
    # Each has 7 bytes. With the new one there are 35, and of these and the 15 that are free the cache takes half.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 85, 15))
    new = Cache(tmp_path).entry("new", filler())
    assert in_use.is_dir(), "it is used"
    assert new.is_dir(), "so is it"
    assert [name for name, place in places.items() if place.is_dir()] == ["recent"]
    assert len(list(tmp_path.iterdir())) == 6, "nothing else is left of the others"
    used.kill()
