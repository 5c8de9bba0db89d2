"""Settings: precedence, the form of the file, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

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


ROLE = "arn:aws:iam::123456789012:role/NeptuneML"


def test_roles_stand_in_the_file_or_with_commas_in_the_environment(tmp_path: Path) -> None:
    flags = written(tmp_path, f'[cluster]\nneptune_ml_iam_role = "{ROLE}"\nroles = ["{ROLE}", "{ROLE}2"]')
    assert load(flags, {}).roles == (ROLE, f"{ROLE}2")
    assert load({}, {"DESPINA_ROLES": f"{ROLE},{ROLE}3"}).roles == (ROLE, f"{ROLE}3")
    assert load(written(tmp_path, "[cluster]\nroles = []"), {}).roles == ()
    assert load({}, {}).roles is None


def test_principals_stand_in_the_file_and_their_secrets_in_no_message(tmp_path: Path) -> None:
    flags = written(tmp_path, '[[principals]]\nname = "alice"\naccess_key_id = "AKIAEXAMPLE"\nsecret_access_key = "hush"\n'
                              "policies = ['{}']\n[[principals]]\nname = \"role\"")
    alice, role = load(flags, {}).principals
    assert (alice.name, alice.access_key_id, alice.secret_access_key, alice.policies) == ("alice", "AKIAEXAMPLE", "hush", ("{}",))
    assert (role.name, role.arn, role.access_key_id) == ("role", "", "")
    assert "hush" not in repr(load(flags, {}))


@pytest.mark.parametrize(("text", "said"), [
    ("[cluster]\nroles = 'x'", "is not the ARN of an IAM role"),
    ("[cluster]\nroles = [1]", "is not a list of ARNs"),
    (f"[cluster]\nneptune_ml_iam_role = '{ROLE}'\nroles = []", f"'{ROLE}', which cluster.roles does not list"),
    ("principals = 'alice'", "as [[principals]]"),
    ("[[principals]]\narn = 'a'", "missing required field `name`"),
    ("[[principals]]\nname = 'a'\nsecret = 'hush'", "unknown field `secret`"),
    ("[[principals]]\nname = 'a'\nsecret_access_key = 'hush'", "('a') must have both access_key_id and secret_access_key"),
    ("tls_cert = 'cert.pem'", "tls_cert and tls_key must be given together"),
    ("tls_cert = 'c'\ntls_key = 'k'\ntls_self_signed = true", "one certificate is enough"),
])
def test_what_would_not_protect_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text), {})
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)


def test_principals_do_not_stand_in_the_environment() -> None:
    with pytest.raises(SettingsError, match=r"DESPINA_PRINCIPALS: .* as \[\[principals\]\]"):
        load({}, {"DESPINA_PRINCIPALS": "alice"})


def test_a_file_with_secrets_that_others_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    flags = written(tmp_path, "[[principals]]\nname = 'a'")
    path = Path(flags["config"])
    path.chmod(0o644)
    load(flags, {})
    assert f"chmod 600 {path}" in caplog.text
    caplog.clear()
    path.chmod(0o600)
    load(flags, {})
    assert not caplog.text
