"""Which server is meant."""

import argparse

import pytest

from despina.cli.client import DEFAULT_URL, URL_VARIABLES, Client
from despina.core.errors import DespinaError


def test_the_option_comes_before_the_variables_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in URL_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    options = argparse.Namespace(endpoint_url=None)
    assert Client.of(options)._url == DEFAULT_URL
    for name in reversed(URL_VARIABLES):
        monkeypatch.setenv(name, f"http://{name.lower().replace('_', '-')}:1")
        assert Client.of(options)._url == f"http://{name.lower().replace('_', '-')}:1"
    assert Client.of(argparse.Namespace(endpoint_url="https://[::1]:8182"))._url == "https://[::1]:8182"


@pytest.mark.parametrize("url", ["127.0.0.1:8182", "ftp://host", "http://"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(DespinaError, match="is not of the form http://host:port"):
        Client(url)


def test_a_bundle_that_is_no_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", __file__)
    with pytest.raises(DespinaError, match=r"AWS_CA_BUNDLE is .*cannot be read as certificates"):
        Client("https://localhost:8182")
