"""Scripts of users cannot reach outside their folders: neither files, nor secrets, nor other processes."""

import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.learn.graphs import communities
from tests.unit.programs.test_custom import KEEP, TRAIN, TRANSFORM, again, place, write
from tests.unit.programs.test_training import Place

from despina.core.errors import ArtifactError, DespinaError, WorkFailed
from despina.programs import confined, custom

__all__ = ["place"]


def landlock() -> int:
    """The version of the system's Landlock; 0: it has none."""
    try:
        return confined.landlock_version()
    except OSError:
        return 0


needs_landlock = pytest.mark.skipif(not landlock(), reason="this system has no Landlock (Linux 5.13)")

TRY = KEEP + """
import json
def attempt(action):
    try:
        return repr(action())
    except OSError as error:
        return type(error).__name__
"""


def told(place: Place, script: str) -> dict[str, str]:
    """What a script printed as JSON, after ``said``."""
    write(place, TRY + f"said = {script}\npathlib.Path(os.environ['SM_MODEL_DIR'], 'said.json').write_text(json.dumps(said))\n"
                       "print('m=1')")
    custom.run(TRAIN, place.context)
    answer: dict[str, str] = json.loads((place.bucket / "model" / "said.json").read_bytes())
    return answer


@pytest.fixture
def secret(place: Place) -> Path:
    """A file beside the data that the scripts may read."""
    path = place.bucket.parent / "secrets.key"
    path.write_text("hush", encoding="utf-8")
    return path


@needs_landlock
def test_files_outside_are_neither_read_nor_written_nor_listed_nor_deleted(place: Place, secret: Path) -> None:
    said = told(place, f"""dict(
        read=attempt(lambda: open({str(secret)!r}).read()),
        listed=attempt(lambda: os.listdir({str(secret.parent)!r})),
        written=attempt(lambda: open({str(secret)!r}, 'a')),
        made=attempt(lambda: open({str(secret.parent / "new")!r}, 'w')),
        deleted=attempt(lambda: os.remove({str(secret)!r})),
        moved=attempt(lambda: os.rename({str(secret)!r}, 'mine')),
        linked=attempt(lambda: os.link({str(secret)!r}, 'mine')),
        shadow=attempt(lambda: open('/etc/shadow').read()),
        home=attempt(lambda: os.listdir('/root')))""")
    assert set(said.values()) <= {"PermissionError", "FileNotFoundError", "OSError"}, said
    assert secret.read_text(encoding="utf-8") == "hush"


@needs_landlock
def test_the_processed_data_can_be_read_and_not_be_changed(place: Place) -> None:
    said = told(place, """dict(
        read=attempt(lambda: len(os.listdir(os.environ['SM_CHANNEL_TRAIN'] + '/graph')) > 2),
        changed=attempt(lambda: next(pathlib.Path(os.environ['SM_CHANNEL_TRAIN']).rglob('*.npy')).open('r+b')),
        temporary=attempt(lambda: __import__('tempfile').TemporaryFile().write(b'x')),
        home=attempt(lambda: pathlib.Path.home().joinpath('x').write_text('x')))""")
    assert said == {"read": "True", "changed": "PermissionError", "temporary": "1", "home": "1"}


@needs_landlock
def test_secrets_of_the_server_are_out_of_reach(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("DESPINA_SECRETS_KEY", "hush")
    said = told(place, f"""dict(
        own=attempt(lambda: sorted(name for name in os.environ if 'SECRET' in name)),
        parent=attempt(lambda: open('/proc/{os.getpid()}/environ').read()),
        memory=attempt(lambda: open('/proc/{os.getpid()}/mem', 'rb')))""")
    assert said == {"own": "[]", "parent": "PermissionError", "memory": "PermissionError"}


@pytest.mark.skipif(landlock() < 6, reason="this system's Landlock knows no signals (Linux 6.12)")
def test_other_processes_get_no_signal(place: Place) -> None:
    said = told(place, f"dict(ours=attempt(lambda: os.kill({os.getpid()}, 0)), own=attempt(lambda: os.kill(os.getpid(), 0)))")
    assert said == {"ours": "PermissionError", "own": "None"}


def test_limits_are_set(place: Place) -> None:
    said = told(place, """dict(
        core=attempt(lambda: __import__('resource').getrlimit(__import__('resource').RLIMIT_CORE)),
        capabilities=attempt(lambda: [line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')][0]),
        score=attempt(lambda: open('/proc/self/oom_score_adj').read().strip()))""")
    assert said == {"core": "(0, 0)", "capabilities": "'0000000000000000'", "score": "'1000'"}


def test_a_link_to_a_file_outside_is_not_put_into_the_output(place: Place, secret: Path) -> None:
    write(place, TRY + f"os.symlink({str(secret)!r}, os.environ['SM_MODEL_DIR'] + '/stolen')\nprint('m=1')")
    with pytest.raises(ArtifactError, match="symbolic links are not copied"):
        custom.run(TRAIN, place.context)
    write(place, TRY + "print('m=1')",
          transform=f"import os\nos.symlink({str(secret)!r}, os.environ['SM_OUTPUT_DIR'] + '/stolen')")
    fresh = again(place)
    custom.run(TRAIN, fresh.context)
    with pytest.raises(ArtifactError, match="symbolic links are not copied"):
        custom.run(TRANSFORM, again(fresh).context)
    assert not list(place.bucket.rglob("stolen"))


@needs_landlock
def test_folders_cannot_be_swapped_for_links_so_that_the_program_reads_or_writes_elsewhere(place: Place, secret: Path) -> None:
    said = told(place, f"""dict(
        moved=attempt(lambda: os.rename(os.environ['SM_MODEL_DIR'], os.environ['SM_MODEL_DIR'] + '2')),
        beside=attempt(lambda: os.symlink({str(secret)!r}, os.path.dirname(os.environ['SM_MODEL_DIR']) + '/report')))""")
    assert said == {"moved": "PermissionError", "beside": "PermissionError"}


def test_what_the_program_writes_does_not_follow_links_of_the_script(place: Place, secret: Path) -> None:
    link = f"os.symlink({str(secret)!r}, os.environ['SM_MODEL_DIR'] + '/training-report.json')\nprint('m=1')"
    write(place, TRY + link)
    with pytest.raises(ArtifactError, match="symbolic links are not copied"):
        custom.run(TRAIN, place.context)
    write(place, TRY + "print('m=1')", transform=(
        f"import os\nos.symlink({str(secret)!r}, os.environ['SM_MODEL_DIR'] + '/a')\n"
        "open(os.environ['SM_OUTPUT_DIR'] + '/a', 'w').write('overwritten')"))
    fresh = again(place)
    custom.run(TRAIN, fresh.context)
    with pytest.raises(ArtifactError, match="symbolic links are not copied"):
        custom.run(TRANSFORM, again(fresh).context)
    assert secret.read_text(encoding="utf-8") == "hush"


def test_a_script_named_like_a_module_of_ours_does_not_run_in_its_place(place: Place) -> None:
    write(place, KEEP + "print('m=1')", **{"requirements.txt": "--no-index\n", "venv.py": "raise SystemExit('taken')",
                                           "pip.py": "raise SystemExit('taken')"})
    custom.run(TRAIN, place.context)


@needs_landlock
def test_packages_that_are_built_are_confined_too(place: Place, secret: Path) -> None:
    write(place, KEEP, **{"requirements.txt": "--no-index\n./spy\n"})
    package = place.bucket / "code" / "spy"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "spy"\nbackend-path = ["."]', encoding="utf-8")
    (package / "spy.py").write_text(f"raise SystemExit(open({str(secret)!r}).read())", encoding="utf-8")
    with pytest.raises(WorkFailed, match="PermissionError") as caught:
        custom.run(TRAIN, place.context)
    assert "hush" not in str(caught.value)


def test_without_landlock_the_script_runs_and_the_log_says_so(place: Place, capfd: pytest.CaptureFixture[str],
                                                              monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A launcher whose kernel does not know the system call.
    other = tmp_path / "confined.py"
    text = Path(confined.__file__).read_text(encoding="utf-8")
    other.write_text(text.replace("= 444, 445, 446", "= 4444, 4445, 4446"), encoding="utf-8")
    monkeypatch.setattr(confined, "__file__", str(other))
    write(place, KEEP + "print('m=1')")
    custom.run(TRAIN, place.context)
    assert "cannot confine scripts to their folders" in capfd.readouterr().err


@pytest.fixture
def open_place() -> Iterator[Place]:
    """A place that another user can get to: those of pytest are shut."""
    folder = Path(tempfile.mkdtemp(prefix="despina-"))
    folder.chmod(0o755)
    place = Place.below(folder)
    communities().save(place.bucket / "processed" / "graph")
    yield place
    shutil.rmtree(folder)


def is_for_everybody(path: str) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in Path(os.path.realpath(path)).parents)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run scripts as another user")
def test_scripts_run_as_another_user(open_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESPINA_CUSTOM_MODELS_USER", "nobody")
    # The Python of the tests may lie in root's home; that of the system, without our packages, will do.
    monkeypatch.setattr(sys, "executable", next(path for path in (sys.executable, "/usr/bin/python3") if is_for_everybody(path)))
    said = told(open_place, "dict(user=attempt(os.geteuid), groups=attempt(os.getgroups), "
                            "home=attempt(pathlib.Path('~/x').expanduser().touch))")
    assert said["user"] not in {"0", "PermissionError"}
    assert said["groups"] in {"[]", f"[{said['user']}]"}
    assert said["home"] == "None"


@pytest.mark.parametrize(("user", "reason"), [("nobody", r"'nobody', who cannot get into /.*: chmod o\+x"),
                                              ("no-such-user", "'no-such-user', whom this system does not know")])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run scripts as another user")
def test_a_user_that_scripts_cannot_run_as_is_an_error(place: Place, monkeypatch: pytest.MonkeyPatch, user: str,
                                                       reason: str) -> None:
    monkeypatch.setenv("DESPINA_CUSTOM_MODELS_USER", user)
    write(place)
    with pytest.raises(DespinaError, match=reason):
        custom.run(replace(TRAIN), place.context)
