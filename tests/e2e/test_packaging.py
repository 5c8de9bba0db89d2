"""The wheel and the sdist: what is in them, and what a user has who installs them outside a checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from tests.serving import PATIENCE_SECONDS, Server

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = f"{PROJECT['name']}-{PROJECT['version']}"


def tracked() -> list[Path]:
    """The files of the checkout, as git knows them, new ones included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(line) for line in done.stdout.splitlines() if (ROOT / line).is_file()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout without anything that was built in it."""
    folder = tmp_path_factory.mktemp("packaging") / "checkout"
    for path in tracked():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    return folder


def build(source: Path, target: Path, **environment: str) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert uv is not None, "scripts/setup installs it"
    done = subprocess.run([uv, "build", "--quiet", "--offline", "--no-build-isolation", "--python", sys.executable, "--out-dir",
                           str(target), str(source)], env={**os.environ, **environment}, capture_output=True, text=True,
                          timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def built(checkout: Path) -> Path:
    """The folder with sdist and wheel; the wheel is built from the sdist."""
    build(checkout, checkout.parent / "dist")
    return checkout.parent / "dist"


def wheel(folder: Path) -> Path:
    (path,) = folder.glob(f"{NAME}-*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(built: Path) -> Path:
    with zipfile.ZipFile(wheel(built)) as archive:
        archive.extractall(built / "unpacked")
    return built / "unpacked"


@pytest.fixture(scope="module")
def installed(built: Path) -> Path:
    """The folder of programs of a virtual environment with the wheel; what it depends on, it borrows from ours."""
    folder = built.parent / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=PATIENCE_SECONDS)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file comes after the environment's own packages, and .pth files in it, as of editable installs, are not read.
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([str(uv), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel(built))],
                   check=True, timeout=PATIENCE_SECONDS)
    return folder / "bin"


def outside(command: list[str], folder: Path) -> str:
    """What a program says that knows nothing of this checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DESPINA_", "PYTEST_", "PYTHON"))}
    done = subprocess.run(command, cwd=folder, env={**clean, "TMPDIR": str(folder)}, capture_output=True, text=True,
                          timeout=2 * PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_the_package_and_nothing_else(unpacked: Path) -> None:
    found = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    package = {str(path.relative_to("src")) for path in tracked() if path.parts[0] == "src"}
    assert package <= found, "data of the package as well"
    assert {name for name in found - package if not name.startswith(f"{NAME}.dist-info/")} == {
        f"despina/graph/_sampler{sysconfig.get_config_var('EXT_SUFFIX')}"}, "the compiled sampler"
    assert {"despina/py.typed", f"{NAME}.dist-info/licenses/LICENSE"} <= found


def test_the_sdist_has_what_the_wheel_is_made_of(built: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    assert {str(path) for path in tracked() if path.parts[0] == "src"} <= names
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names
    own = {"pyproject.toml", "README.md", "LICENSE", "src", "PKG-INFO", "setup.cfg"}
    assert {name.partition("/")[0] for name in names} <= {NAME, *own}, "neither tests nor data"


def test_no_path_of_this_machine_is_in_them(unpacked: Path, checkout: Path) -> None:
    # The library folder of the Python that compiled it is written into the sampler by that Python's own linker flags.
    own = sysconfig.get_config_var("LIBDIR").encode()
    foreign = [str(Path.home()).encode() + b"/", str(ROOT).encode(), str(checkout.parent).encode()]
    for path in unpacked.rglob("*"):
        if path.is_file():
            content = path.read_bytes().replace(own, b"")
            assert not [name for name in foreign if name in content], path


def test_the_metadata_are_valid_and_complete(unpacked: Path) -> None:
    """By the same library as the package index."""
    metadata = Metadata.from_email((unpacked / f"{NAME}.dist-info" / "METADATA").read_bytes(), validate=True)
    assert (metadata.name, str(metadata.version), metadata.license_expression) == ("despina", PROJECT["version"], "Apache-2.0")
    assert metadata.license_files == ["LICENSE"]
    assert set(metadata.provides_extra or ()) == set(PROJECT["optional-dependencies"])
    assert metadata.description_content_type == "text/markdown"
    assert "## Two commands" in (metadata.description or "")


def test_without_a_compiler_there_is_a_wheel_too(checkout: Path) -> None:
    build(checkout, checkout.parent / "no-compiler", CC="false")
    with zipfile.ZipFile(wheel(checkout.parent / "no-compiler")) as archive:
        names = archive.namelist()
    assert "despina/graph/sampling.py" in names
    assert not [name for name in names if name.endswith(".so")]


def test_the_installed_program_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    script = ("import despina, despina.graph._sampler as sampler, importlib.metadata as metadata; "
              "print(despina.__file__, sampler.__file__, metadata.version('despina'))")
    *files, version = outside([str(installed / "python"), "-c", script], tmp_path).split()
    assert all(Path(file).is_relative_to(installed.parent) for file in files), files
    assert version == PROJECT["version"]
    assert outside([str(installed / "despina"), "--version"], tmp_path) == f"despina {PROJECT['version']}\n"


def test_the_installed_server_answers_and_has_its_console(installed: Path, tmp_path: Path) -> None:
    server = Server(tmp_path / "data", program=(str(installed / "despina"),)).start()
    try:
        assert server.boto3().list_ml_model_training_jobs()["ids"] == []
        with urllib.request.urlopen(f"{server.url}/console", timeout=PATIENCE_SECONDS) as answer:
            page = answer.read().decode()
        files = re.findall(r'(?:href|src)="(/console/static/[^"]+)"', page)
        assert len(files) >= 2, page
        for name in files:
            with urllib.request.urlopen(f"{server.url}{name}", timeout=PATIENCE_SECONDS) as answer:
                assert answer.read()
    finally:
        server.stop()


def test_the_example_of_the_testing_kit_trains_lists_and_cancels(installed: Path, tmp_path: Path) -> None:
    """With the installation that docs/testing.md tells of; so the wheel serves, processes, trains, lists and cancels."""
    folder = tmp_path / "example"
    shutil.copytree(ROOT / "examples" / "testing-kit", folder, ignore=shutil.ignore_patterns("__pycache__"))
    others = [word for name in ("schemathesis", "hypothesispytest", "anyio") for word in ("-p", f"no:{name}")]
    assert "3 passed" in outside([str(installed / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *others], folder)
    assert not list(folder.glob("despina-*")), "nothing is left in the temporary folder"
