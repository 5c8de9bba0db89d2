"""Settings: precedence, the form of the file, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from despina.core.errors import NotOffered
from despina.settings import Settings, SettingsError, load


def written(tmp_path: Path, text: str) -> dict[str, Any]:
    path = tmp_path / "despina.toml"
    path.write_text(text, encoding="utf-8")
    return {"config": str(path)}


def test_nothing_has_to_be_configured() -> None:
    assert load({}, {}) == Settings()
    assert (Settings().host, Settings().port, Settings().data_dir) == ("127.0.0.1", 8182, Path("despina-data"))


def test_flags_come_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    flags = written(tmp_path, 'port = 1\ndata_dir = "here"\n[cluster]\nregion = "eu-west-1"\nml_enabled = false\n'
                              "[limits]\nmax_in_flight = 7\n")
    settings = load({**flags, "port": "3", "host": None}, {"DESPINA_PORT": "2", "DESPINA_REGION": "eu-west-2", "DESPINA_HOST": ""})
    assert (settings.port, settings.region, settings.ml_enabled, settings.max_in_flight) == (3, "eu-west-2", False, 7)
    assert (settings.host, settings.data_dir) == ("127.0.0.1", Path("here"))


def test_the_file_can_be_named_by_the_environment(tmp_path: Path) -> None:
    assert load({}, {"DESPINA_CONFIG": written(tmp_path, "port = 5")["config"]}).port == 5


@pytest.mark.parametrize(("text", "said"), [
    ("prot = 1", "unknown key 'prot': did you mean 'port'?"),
    ("[limits]\nmax_inflight = 1", "[limits] has an unknown key 'max_inflight': did you mean 'max_in_flight'?"),
    ("[cluster]\nport = 1", "[cluster] has an unknown key 'port'"),
    ("port = 'many'", "port has the value 'many', which is not a valid int"),
    ("port = true", "not a valid int"),
    ("[limits]\nmax_in_flight = 0", "must be at least 1"),
    ("[cluster]\nml_enabled = 'perhaps'", "not a valid bool"),
    ("port = ", "cannot be read"),
])
def test_what_cannot_be_used_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text), {})
    assert said in str(caught.value)
    assert "despina.toml" in str(caught.value)


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="DESPINA_REQUESTS_PER_SECOND has the value '0', which must be at least 1"):
        load({}, {"DESPINA_REQUESTS_PER_SECOND": "0"})


@pytest.mark.parametrize("text", [
    'tls_cert = "cert.pem"', '[cluster]\nroles = ["arn:aws:iam::123456789012:role/X"]',
    '[[principals]]\nname = "a"'])
def test_protection_that_is_not_there_is_not_accepted(tmp_path: Path, text: str) -> None:
    with pytest.raises(NotOffered, match="not offered yet"):
        load(written(tmp_path, text), {})
