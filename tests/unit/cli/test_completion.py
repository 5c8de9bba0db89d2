"""The completion of shells, asked of the shells themselves."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from despina.cli import main
from despina.cli.completion import SHELLS


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The script for each shell."""
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        with (folder / shell).open("w", encoding="utf-8") as file:
            subprocess.run([sys.executable, "-m", "despina", "completion", shell], stdout=file, check=True, timeout=60)
    return {shell: folder / shell for shell in SHELLS}


def in_bash(script: Path, *words: str) -> list[str]:
    """What bash offers for the last of these words, by the function that it would call."""
    line = (f'source "$0"; COMP_WORDS=("$@"); COMP_CWORD={len(words) - 1}; '
            'function=$(complete -p despina | sed -E "s/.*-F ([^ ]+).*/\\1/"); $function; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", line, str(script), *words], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return sorted(done.stdout.split())


@pytest.mark.parametrize(("line", "offered"), [
    ("despina jo", ["jobs"]),
    ("despina endpoints w", ["wait"]),
    ("despina jobs start model", ["modeltraining", "modeltransform"]),
    ("despina jobs start modeltraining --max", ["--max-hpo-number-of-training-jobs", "--max-hpo-parallel-training-jobs",
                                                "--max-wait-time"]),
    ("despina jobs list --kind m", ["modeltraining", "modeltransform"]),
    ("despina completion f", ["fish"]),
    ("despina serve --config /etc/passw", ["/etc/passwd"]),
    ("despina jobs show --no-such", []),
])
def test_bash(scripts: dict[str, Path], line: str, offered: list[str]) -> None:
    found = in_bash(scripts["bash"], *line.split(" "))
    assert [word for word in found if not word.endswith("-")] == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_understands_its_script(scripts: dict[str, Path], shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", str(scripts[shell])], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_script_has_every_verb_and_unknown_shells_are_refused(
        scripts: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for script in scripts.values():
        text = script.read_text(encoding="utf-8")
        assert all(word in text for word in ("modeltransform", "--ml-model-training-job-id", "invoke", "doctor", "--since"))
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "fsh"])
    assert "did you mean 'fish'?" in capsys.readouterr().err
