"""What a signature must be, after AWS's published vectors; and what a refusal says."""

import hmac
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.unit.auth.signing import KEY_ID, REGION, SECRET, SERVICE, URL, changed, check, key, sign, with_header

from despina.api.errors import answer
from despina.auth.canonical import Request, canonical_query, canonical_request, encode_path, normalize_path
from despina.auth.claims import parse
from despina.auth.signing_keys import SigningKeys, derive
from despina.auth.sigv4 import Key, hash_token, signature, string_to_sign, verify
from despina.core.errors import AccessDenied

VECTORS = {case["name"]: case for case in json.loads((Path(__file__).parents[2] / "data" / "sigv4.json").read_text("utf-8"))}
TOKEN = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22=="


def read(text: str) -> Request:
    """The request of a vector's file."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    method, _, rest = first.partition(" ")
    path, _, query = rest.removesuffix(" HTTP/1.1").partition("?")
    headers: list[tuple[bytes, bytes]] = []
    for line in lines:
        if line.startswith(" "):
            name, value = headers.pop()
            headers.append((name, value + b"\n" + line.encode()))
        else:
            name, _, value = line.encode().partition(b":")
            headers.append((name, value))
    return Request(method=method, raw_path=path.encode(), raw_query=query.encode(), headers=tuple(headers), body=body.encode())


def verify_vector(case: dict[str, Any], request: Request) -> None:
    given = case["context"]["credentials"]
    token = given.get("token")
    verify(parse(request), request, Key(b"1", lambda: given["secret_access_key"], hash_token(token.encode()) if token else None),
           now=1440938160000, region=case["context"]["region"], service=case["context"]["service"], keys=SigningKeys())


def canonical_of(request: Request, path: bytes) -> bytes:
    values = request.values
    return canonical_request(
        method=request.method, path=encode_path(path), query=canonical_query(request.parameters),
        headers=[(name, values[name]) for name in parse(request).signed_headers],
        payload_hash=values.get(b"x-amz-content-sha256", sha256(request.body).hexdigest().encode()))


@pytest.mark.parametrize("case", VECTORS.values(), ids=VECTORS)
def test_published_vectors(case: dict[str, Any]) -> None:
    request = read(case["signedRequest"])
    normalized = normalize_path(request.raw_path)
    canonical = canonical_of(request, normalized if case["context"]["normalize"] else request.raw_path)
    assert canonical.decode() == case["canonicalRequest"]
    claim = parse(request)
    assert string_to_sign(canonical, claim.timestamp, claim.scope) == case["stringToSign"]
    signing_key = derive(case["context"]["credentials"]["secret_access_key"], claim.credential[1:4])
    assert signature(canonical, claim.timestamp, claim.scope, signing_key) == case["signature"] == claim.signature


@pytest.mark.parametrize("case", VECTORS.values(), ids=VECTORS)
def test_published_vectors_are_verified_as_by_a_service_that_normalizes_paths(case: dict[str, Any]) -> None:
    request = read(case["signedRequest"])
    if case["context"]["normalize"] or normalize_path(request.raw_path) == request.raw_path:
        verify_vector(case, request)
    else:
        with pytest.raises(AccessDenied, match="does not match the signature you provided"):
            verify_vector(case, request)


def test_there_are_38_vectors() -> None:
    assert len(VECTORS) == 38


def test_a_signing_key_as_in_the_user_guide() -> None:
    signing_key = derive(SECRET, ("20150830", "us-east-1", "iam"))
    assert signing_key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


@pytest.mark.parametrize(("path", "normalized"), [
    (b"", b"/"), (b"/", b"/"), (b"//", b"/"), (b"/.", b"/"), (b"/..", b"/"), (b"/../..", b"/"), (b"/a/..", b"/"), (b"/a/../", b"/"),
    (b"/a/", b"/a/"), (b"//a//b//", b"/a/b/"), (b"/a/./b", b"/a/b"), (b"/a/../../b", b"/b"), (b"/a%2F..%2Fb", b"/a%2F..%2Fb"),
    (b"/%2e%2e/a", b"/%2e%2e/a"), (b"/...", b"/..."), (b"*", b"/*")])
def test_paths_are_normalized(path: bytes, normalized: bytes) -> None:
    assert normalize_path(path) == normalized


def test_paths_are_encoded_as_they_stand_on_the_wire() -> None:
    assert encode_path(b"/tr%201%2F%C3%A9~%2A*\xff") == b"/tr%25201%252F%25C3%25A9~%252A%2A%FF"


@pytest.mark.parametrize(("raw", "canonical"), [
    (b"", b""), (b"&&", b""), (b"b=2&a=1", b"a=1&b=2"), (b"a=2&a=1&a", b"a=&a=1&a=2"), (b"a-b=1&a=2", b"a=2&a-b=1"),
    (b"B=1&a=2", b"B=1&a=2"), (b"a=b=c", b"a=b%3Dc"), (b"a=%7e%2d", b"a=~-"), (b"a=x+y", b"a=x%20y"), (b"a=x%2by", b"a=x%2By"),
    (b"a=arn:aws:/", b"a=arn%3Aaws%3A%2F"), (b"a=%zz&b=%", b"a=%25zz&b=%25"), (b"a=\xff%ff", b"a=%FF%FF"), (b"=1", b"=1"),
    (b"X-Amz-Signature=1&a=%26", b"a=%26")])
def test_queries_are_decoded_encoded_and_sorted(raw: bytes, canonical: bytes) -> None:
    assert canonical_query(Request(method="GET", raw_path=b"/", raw_query=raw, headers=()).parameters) == canonical


def test_a_request_may_come_again() -> None:
    request = sign()
    keys = SigningKeys()
    for _ in range(3):
        claim = parse(request)
        verify(claim, request, key(), now=claim.signed_at * 1000, region=REGION, service=SERVICE, keys=keys)


def rewritten(request: Request, change: Callable[[bytes], bytes]) -> Request:
    """The request with another Authorization header."""
    return with_header(request, "Authorization", change(request.values[b"authorization"]))


@pytest.mark.parametrize("spelling", [
    lambda text: text.replace(b", ", b","),
    lambda text: text.replace(b", ", b" ,  "),
    lambda text: text.replace(b", ", b",\r\n\t"),
    lambda text: b"  " + text.replace(b" Cred", b"   Cred") + b" ",
    lambda text: b"AWS4-HMAC-SHA256 " + b",".join(reversed(text.removeprefix(b"AWS4-HMAC-SHA256 ").split(b", ")))])
def test_spellings_of_the_authorization_header(spelling: Callable[[bytes], bytes]) -> None:
    check(rewritten(sign(), spelling))


def test_proxies_may_change_the_case_of_headers_and_add_some() -> None:
    request = sign("POST", body=b"{}", headers=[("Content-Type", "application/json")])
    headers = tuple((name.lower(), value) for name, value in request.headers)
    check(changed(request, headers=((b"x-forwarded-for", b"203.0.113.7"), *headers, (b"via", b"1.1 proxy"))))


def test_the_date_may_be_that_of_http() -> None:
    request = sign(headers=[("Date", "")])
    assert request.values[b"date"].endswith(b"GMT") or request.values[b"date"].endswith(b"-0000")
    claim = check(request)
    assert "date" in str(claim.signed_headers)
    check(with_header(request, "X-Amz-Date", b"20010101T000000Z"), now=claim.signed_at)  # not signed, so nothing to go by


def test_the_body_need_not_be_signed() -> None:
    request = sign("POST", "https://localhost/ml/modeltraining", body=b"{}", sign_body=False)
    assert request.values[b"x-amz-content-sha256"] == b"UNSIGNED-PAYLOAD"
    check(changed(request, body=b"{ }"))


def test_a_hash_that_is_sent_must_be_that_of_the_body() -> None:
    request = sign("POST", body=b"{}", headers=[("X-Amz-Content-Sha256", sha256(b"{}").hexdigest())])
    check(request)
    with pytest.raises(AccessDenied, match=r"header does not match what was computed\..* of the 3 bytes received"):
        check(changed(request, body=b"{ }"))


def test_a_token_in_header_or_query() -> None:
    check(sign(token=TOKEN), token=TOKEN)
    check(sign(token=TOKEN, expires=60), token=TOKEN)
    for request in (sign(), sign(expires=60)):  # some signers add it after they have signed
        check(with_header(request, "X-Amz-Security-Token", TOKEN.encode()), token=TOKEN)


@pytest.mark.parametrize("expires", [None, 60])
@pytest.mark.parametrize(("sent", "wanted", "text"), [
    (TOKEN, None, "it has no session token, but the request has one"),
    (None, TOKEN, "the request has no session token"),
    (TOKEN, TOKEN + "x", "does not belong to the access key 'AKIDEXAMPLE'")])
def test_the_token_must_be_that_of_the_key(sent: str | None, wanted: str | None, text: str, expires: int | None) -> None:
    with pytest.raises(AccessDenied, match=f"The security token included in the request is invalid.*{text}") as refusal:
        check(sign(token=sent, expires=expires), token=wanted)
    assert TOKEN not in str(refusal.value)


def test_a_signer_may_leave_the_port_out() -> None:
    check(with_header(sign(url="http://localhost/"), "Host", b"localhost:8182"))
    check(with_header(sign(url="http://[::1]/"), "Host", b"[::1]:8182"))
    for host in (b"localhost", b"localhost:8183", b"localhost:8182:8182"):
        with pytest.raises(AccessDenied, match="does not match the signature"):
            check(with_header(sign(url="http://localhost:8182/"), "Host", host))


@pytest.mark.parametrize("late", [-300, 0, 300])
def test_clocks_may_differ_by_five_minutes(late: int) -> None:
    request = sign()
    check(request, now=parse(request).signed_at + late)


def test_clocks_may_not_differ_more() -> None:
    request = read(VECTORS["get-vanilla"]["signedRequest"])
    at = parse(request).signed_at
    with pytest.raises(AccessDenied, match=r"^Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z "
                                           r"\(20150830T124101Z - 5 min\.\)$"):
        check(request, now=at + 301, service="service")
    with pytest.raises(AccessDenied, match=r"^Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z "
                                           r"\(20150830T123059Z \+ 5 min\.\)$"):
        check(request, now=at - 301, service="service")


def test_presigned_requests_hold_until_they_expire() -> None:
    request = sign(expires=3600)
    at = parse(request).signed_at
    for now in (at - 300, at + 3600):
        check(request, now=now)
    with pytest.raises(AccessDenied, match=r"Signature expired: .* \+ 3600 s\) is now earlier than"):
        check(request, now=at + 3601)
    with pytest.raises(AccessDenied, match="Signature not yet current"):
        check(request, now=at - 301)


@pytest.mark.parametrize("expires", [1, 604800])
def test_how_long_presigned_requests_may_hold(expires: int) -> None:
    check(sign(expires=expires))


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "1e3", "", "9" * 40, "١"])
def test_how_long_they_may_not(expires: str) -> None:
    request = sign(expires=77)
    query = request.raw_query.replace(b"X-Amz-Expires=77", b"X-Amz-Expires=" + expires.encode())
    with pytest.raises(AccessDenied, match="X-Amz-Expires"):
        check(changed(request, raw_query=query))


def test_a_presigned_request_may_name_its_hash_in_the_query() -> None:
    request = sign("POST", f"{URL}&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD", expires=60)
    with pytest.raises(AccessDenied, match="does not match the signature"):
        check(request)  # botocore signed the hash of no body
    claim = parse(request)
    assert claim.payload_hash == b"UNSIGNED-PAYLOAD"
    values = request.values
    canonical = canonical_request(method="POST", path=request.raw_path, query=canonical_query(request.parameters),
                                  headers=[(name, values[name]) for name in claim.signed_headers], payload_hash=b"UNSIGNED-PAYLOAD")
    signed = signature(canonical, claim.timestamp, claim.scope, derive(SECRET, (claim.credential.day, REGION, SERVICE))).encode()
    check(changed(request, raw_query=request.raw_query.replace(claim.signature.encode(), signed), body=b"any"))


def test_another_service_has_its_own_scope() -> None:
    check(sign(service="sagemaker"), service="sagemaker")


def test_an_unknown_key_is_named() -> None:
    request = sign()
    claim = parse(request)
    with pytest.raises(AccessDenied, match=r"^The security token included in the request is invalid\. "
                                           r"The access key 'AKIDEXAMPLE' is not known here\.$"):
        verify(claim, request, None, now=claim.signed_at * 1000, region=REGION, service=SERVICE, keys=SigningKeys())


SIGNED = sign()
DATED = sign(headers=[("Date", "")])
PRESIGNED = sign(expires=60)
SCOPE = parse(SIGNED).scope.encode()
DAY = SCOPE[:8]


def replaced(old: bytes, new: bytes) -> Request:
    """A signed request with another Authorization header."""
    return rewritten(SIGNED, lambda text: text.replace(old, new))


def queried(old: bytes, new: bytes) -> Request:
    """A presigned request with another query."""
    return changed(PRESIGNED, raw_query=PRESIGNED.raw_query.replace(old, new))


MALFORMED = "The request did not include the required authorization header, or it was malformed."
REFUSALS = {
    "unsigned": (with_header(SIGNED, "Authorization", None), "Missing Authentication Token. The request is not signed"),
    "empty": (with_header(SIGNED, "Authorization", b""), MALFORMED),
    "basic": (with_header(SIGNED, "Authorization", b"Basic abc"),
              f"{MALFORMED} It must begin with 'AWS4-HMAC-SHA256', not 'Basic'."),
    "nothing but the algorithm": (
        with_header(SIGNED, "Authorization", b"AWS4-HMAC-SHA256 x"),
        " ".join(f"Authorization header requires '{name}' parameter." for name in ("Credential", "SignedHeaders", "Signature"))),
    "no credential": (replaced(b"Credential", b"Kredential"), "Authorization header requires 'Credential' parameter."),
    "no signature": (rewritten(SIGNED, lambda text: text.partition(b", Signature")[0]), "requires 'Signature' parameter."),
    "two signatures": (rewritten(SIGNED, lambda text: text + b", Signature=0"), "once each and nothing else, not 4 parts"),
    "four parts": (replaced(b"/aws4_request", b""), "5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKID"),
    "not ASCII": (replaced(b"AKIDEXAMPLE", b"\xff"), "e.g. keyid/date/region/service/term, got '\ufffd/"),
    "no key": (replaced(b"AKIDEXAMPLE", b""), "exactly 5 slash-delimited elements"),
    "terminator": (replaced(b"aws4_", b"aws5_"), "with a valid terminator: 'aws4_request', not 'aws5_request'."),
    "service": (replaced(b"neptune-db", b"s3"), "scoped to correct service: 'neptune-db'. It is scoped to 's3'."),
    "region": (replaced(b"us-east-1", b"eu-west-1"),
               "scoped to a valid Region, not 'eu-west-1'. The region of this server is 'us-east-1'."),
    "day": (replaced(DAY, b"20010101"), "does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20010101' != '"),
    "upper case": (replaced(b"host;", b"Host;"), "must be lower-case header names with semicolons"),
    "host not signed": (replaced(b"host;", b""), "'Host' must be a 'SignedHeader'"),
    "date not signed": (replaced(b";x-amz-date", b""), "existence of either a 'X-Amz-Date' or a 'Date' header"),
    "no header": (replaced(b"host;", b"host;x-a;"), "'x-a' is named as a SignedHeader, but it does not exist in the HTTP request."),
    "no host": (with_header(SIGNED, "Host", None), "'host' is named as a SignedHeader, but it does not exist in the HTTP request."),
    "no date": (with_header(SIGNED, "X-Amz-Date", None), "'x-amz-date' is named as a SignedHeader, but it does not exist"),
    "date": (with_header(SIGNED, "X-Amz-Date", b"now"), "Date must be in ISO-8601 'basic format'. Got 'now'."),
    "no zone": (with_header(SIGNED, "X-Amz-Date", b"20150830T123600"), "Got '20150830T123600'."),
    "30 February": (with_header(SIGNED, "X-Amz-Date", b"20150230T000000Z"), "Got '20150230T000000Z'."),
    "wrong form": (with_header(SIGNED, "X-Amz-Date", b"Sun, 30 Aug 2015 12:36:00 GMT"), "It must be as in '20150830T123600Z'."),
    "Date": (with_header(DATED, "Date", b"Sun, 30 Avg 2015 12:36:00 GMT"), "or in HTTP's, as in 'Sun, 30 Aug 2015 12:36:00 GMT'."),
    "hash": (with_header(SIGNED, "X-Amz-Content-Sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
             "It is 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', but the SHA-256 of the 0 bytes received is 'e3b0"),
    "short signature": (rewritten(SIGNED, lambda text: text[:-1]), "64 lower-case hexadecimal digits; it has 63 characters."),
    "twice signed": (changed(SIGNED, raw_query=PRESIGNED.raw_query), "both an Authorization header and a signature in its query"),
    "presigned, no date": (queried(b"X-Amz-Date", b"X-Amz-Time"), "query-string parameters must include 'X-Amz-Date'. Re-examine"),
    "presigned, two dates": (queried(b"&X-Amz-Date", b"&X-Amz-Date=1&X-Amz-Date"), "must each stand once in the query"),
    "presigned, algorithm": (queried(b"HMAC", b"ECDSA"), "Unsupported AWS 'algorithm': 'AWS4-ECDSA-SHA256'."),
    "signature": (
        changed(SIGNED, method="PUT"),
        ("Check your AWS Secret Access Key and signing method. Consult the service documentation for details. It was calculated "
         "for the method 'PUT', the path '/ml/modeltraining', the host 'localhost:8182' and the signed headers 'host;x-amz-date'; "
         "the access key 'AKIDEXAMPLE' is known.")),
}


@pytest.mark.parametrize(("request_", "text"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_says_what_was_expected_and_received(request_: Request, text: str) -> None:
    with pytest.raises(AccessDenied) as refusal:
        check(request_)
    assert text in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_a_refusal_is_an_access_denied_exception() -> None:
    made = answer(AccessDenied("No."), "r")
    assert made.status == 403
    assert json.loads(made.body)["code"] == "AccessDeniedException"


def test_a_wrong_secret_is_refused_without_telling_the_right_signature() -> None:
    right = sign()
    with pytest.raises(AccessDenied, match="does not match the signature") as refusal:
        check(right, known=key(secret="wrong"))
    assert parse(right).signature not in str(refusal.value)
    assert "wrong" not in str(refusal.value)


def test_a_header_of_one_word_is_not_quoted() -> None:
    with pytest.raises(AccessDenied) as refusal:
        parse(with_header(SIGNED, "Authorization", SECRET.encode()))
    assert SECRET not in str(refusal.value)


def test_signing_keys_are_derived_once_and_not_forever_kept() -> None:
    asked = []

    def secret() -> str:
        asked.append(1)
        return SECRET

    keys = SigningKeys(size=2)
    day, night, week = (("20150830", REGION, service) for service in ("day", "night", "week"))
    for scope in (day, day, night, day):
        assert keys.get(b"1", scope, secret) == derive(SECRET, scope)
    assert len(asked) == 2
    keys.get(b"1", week, secret)  # there is no room for a third
    assert len(asked) == 3
    keys.get(b"1", week, secret)
    assert len(asked) == 3
    keys.get(b"1", night, secret)
    assert len(asked) == 4


def test_another_secret_has_another_signing_key() -> None:
    keys = SigningKeys()
    scope = ("20150830", REGION, SERVICE)
    assert keys.get(b"1", scope, lambda: "one") != keys.get(b"2", scope, lambda: "two")


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []
    compare = hmac.compare_digest

    def spy(one: Any, other: Any) -> bool:
        compared.append(other)
        return bool(compare(one, other))

    monkeypatch.setattr(hmac, "compare_digest", spy)
    check(SIGNED)
    assert parse(SIGNED).signature in compared


def test_forged_scopes_derive_no_key() -> None:
    def secret() -> str:
        pytest.fail("A key was derived.")

    for old, new in ((b"us-east-1", b"eu-west-1"), (DAY, b"20010101"), (b"neptune-db", b"s3")):
        with pytest.raises(AccessDenied):
            check(replaced(old, new), known=Key(b"1", secret))


def test_the_key_id_is_told_before_anything_is_verified() -> None:
    assert parse(SIGNED).key_id == parse(PRESIGNED).key_id == KEY_ID
