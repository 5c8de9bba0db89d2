"""What roles may do in S3, by the policies that they carry."""

import json
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from despina.auth.principals import Principals
from despina.auth.role_bounds import PolicyRoleBounds
from despina.core.errors import AccessDenied
from despina.core.location import Location
from despina.core.ports import KeyStore
from despina.core.principal import Principal
from despina.store import open_key_store

ROLE = "arn:aws:iam::123456789012:role/Jobs"


def policy(*statements: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]})


LIST = {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::data", "Condition": {"StringLike": {"s3:prefix": "in/*"}}}
READ = {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/in/*"}
WRITE = {"Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": "arn:aws:s3:::data/out/*"}


@pytest.fixture
def store() -> KeyStore:
    store = open_key_store(":memory:")
    store.put_principal(Principal(name="Jobs", arn=ROLE, policies=(policy(LIST, READ, WRITE),)))
    return store


@pytest.fixture
def bounds(store: KeyStore) -> PolicyRoleBounds:
    return PolicyRoleBounds(Principals(open_key_store(":memory:"), store))


@pytest.mark.parametrize(("action", "url", "allowed"), [
    ("s3:GetObject", "s3://data/in", True),
    ("s3:GetObject", "s3://data/in/export", True),
    ("s3:GetObject", "s3://data/input", False),
    ("s3:GetObject", "s3://data", False),
    ("s3:GetObject", "s3://other/in", False),
    ("s3:PutObject", "s3://data/in/export", False),
    ("s3:PutObject", "s3://data/out/job", True),
    ("s3:PutObject", "s3://data/output/job", False),
    ("s3:DeleteObject", "s3://data/out/job", True),
    ("s3:DeleteObject", "s3://data/in/export", False),
    ("s3:GetObject", "file:///etc", False),
    ("s3:PutObject", "file:///data/out/job", False),
])
def test_a_role_may_do_what_its_policies_allow(bounds: PolicyRoleBounds, action: str, url: str, allowed: bool) -> None:
    if allowed:
        bounds.demand(ROLE, action, Location.parse(url))
    else:
        with pytest.raises(AccessDenied, match=f"The role {ROLE} ") as caught:
            bounds.demand(ROLE, action, Location.parse(url))
        assert url.removeprefix("s3://").removeprefix("file://").partition("/")[0] in str(caught.value)


def test_reading_needs_listing_too(store: KeyStore, bounds: PolicyRoleBounds) -> None:
    store.put_principal(Principal(name="Jobs", arn=ROLE, policies=(policy(READ),)))
    with pytest.raises(AccessDenied, match="not authorized to perform: s3:ListBucket on resource: arn:aws:s3:::data "):
        bounds.demand(ROLE, "s3:GetObject", Location.parse("s3://data/in"))


def test_each_file_is_asked_for(store: KeyStore, bounds: PolicyRoleBounds) -> None:
    secret = {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::data/in/*/secret*"}
    store.put_principal(Principal(name="Jobs", arn=ROLE, policies=(policy(LIST, READ, secret),)))
    location = Location.parse("s3://data/in/export")
    bounds.demand(ROLE, "s3:GetObject", location, ["nodes.csv", "edges.csv"])
    with pytest.raises(AccessDenied, match=r"arn:aws:s3:::data/in/export/secret\.csv with an explicit deny"):
        bounds.demand(ROLE, "s3:GetObject", location, ["nodes.csv", "secret.csv"])


def test_what_changes_holds_at_once(store: KeyStore, bounds: PolicyRoleBounds) -> None:
    location = Location.parse("s3://data/elsewhere")
    with pytest.raises(AccessDenied):
        bounds.demand(ROLE, "s3:PutObject", location)
    store.put_principal(replace(store.principals()[0], policies=(policy({"Action": "*", "Resource": "*"}),)))
    bounds.demand(ROLE, "s3:PutObject", location)
    store.put_principal(replace(store.principals()[0], boundary=policy(WRITE)))
    with pytest.raises(AccessDenied, match="boundary"):
        bounds.demand(ROLE, "s3:PutObject", location)


@pytest.mark.parametrize("role", [None, f"{ROLE}2"])
def test_who_is_no_principal_has_no_bounds(bounds: PolicyRoleBounds, role: str | None) -> None:
    bounds.demand(role, "s3:DeleteObject", Location.parse("s3://data/anything"))
    bounds.demand(role, "s3:GetObject", Location.parse("file:///anything"))
