"""The configuration file and the environment."""

import argparse
import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from despina.cli.doctor.check import Check, ok, warning
from despina.settings import Settings

ALIKE = 0.85
"""How alike a variable must be to a setting's to be taken for a mistyped one: others have variables of their own."""


def examine(settings: Settings, options: argparse.Namespace) -> Iterator[Check]:
    """What the settings are made of. That they could be read is known."""
    file = options.config or os.environ.get("DESPINA_CONFIG")
    known = {f"DESPINA_{name.upper()}" for name in Settings.__struct_fields__}
    given = sorted(name for name in known if os.environ.get(name))
    yield ok("settings", f"{f'{file}, ' if file else 'no file, '}{', '.join(given) or 'no variable of the environment'}")
    for name in sorted(name for name in os.environ if name.startswith("DESPINA_") and name not in known):
        meant = get_close_matches(name, known, n=1, cutoff=ALIKE)
        if meant:
            yield warning("environment", f"{name} is no setting", f"did you mean {meant[0]}? Unknown variables are ignored.")
    if file and settings.principals and Path(file).stat().st_mode & 0o077:
        yield warning("settings", f"{file} has secrets in it and can be read by others", f"chmod 600 {file}")
