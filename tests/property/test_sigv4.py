"""Whatever botocore signs is verified; whatever was changed since is not; and no input raises anything but the refusal."""

from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.unit.auth.signing import KEY_ID, REGION, SECRET, SERVICE, changed, check, sign, with_header

from despina.auth.canonical import Request
from despina.auth.claims import Claim, parse
from despina.core.errors import AccessDenied

unicode = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
telling = st.one_of(unicode, st.sampled_from(["", ".", "..", " ", "/", "+", "%", "%41", "%2F", "&", "=", "~*'()!", "é", "\n"]))
segments = telling.map(lambda text: quote(text, safe="~*'()!@:$,;"))
paths = st.builds(lambda parts, end: "/" + "/".join(parts) + end, st.lists(segments, max_size=5), st.sampled_from(["", "/", "//"]))
pairs = st.lists(st.tuples(telling, telling), max_size=5)
names = st.sampled_from(["Content-Type", "X-Amz-Meta", "x-a", "X-A-b", "Accept", "amz-sdk-request", "User-Agent", "Expect"])
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
Draw = Callable[[st.SearchStrategy[Any]], Any]
tokens = st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@st.composite
def signed_requests(draw: st.DrawFn) -> tuple[Request, str | None]:
    """A request that botocore has signed, in its header or query, and the session token of its key."""
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in draw(pairs))
    headers = draw(st.lists(st.tuples(names, values), max_size=4))
    if draw(st.booleans()):
        headers.append(("Date", ""))  # botocore puts the date there then
    token = draw(tokens)
    expires = draw(st.none() | st.integers(1, 604800))
    scheme, sign_body = ("http", True) if expires else draw(st.sampled_from([("http", True), ("https", True), ("https", False)]))
    host = draw(st.sampled_from(["localhost:8182", "neptune.example.com", "[::1]:8182"]))
    request = sign(
        draw(st.sampled_from(["GET", "POST", "DELETE", "PUT"])), f"{scheme}://{host}{draw(paths)}" + (f"?{query}" if query else ""),
        headers=headers, body=draw(st.binary(max_size=20)), token=token, sign_body=sign_body,
        expires=expires)
    return request, token


@given(signed_requests())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_what_botocore_signs_is_verified(made: tuple[Request, str | None]) -> None:
    request, token = made
    claim = check(request, token=token)
    assert claim.key_id == KEY_ID


@given(signed_requests(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_means_the_same_is_verified(made: tuple[Request, str | None], random: Random) -> None:
    request, token = made
    headers = [(random.choice([name, name.lower(), name.upper()]), b" \t" + value.replace(b" ", b"  ") + b" ")
               for name, value in request.headers]
    items = request.raw_query.split(b"&")
    random.shuffle(items)
    check(changed(request, headers=((b"Via", b"1.1 proxy"), *headers), raw_query=b"&".join(items)), token=token)


def at_authorization(request: Request, change: Callable[[bytes], bytes]) -> Request:
    """The request with other words of authorization, wherever they are."""
    if b"authorization" in request.values:
        return with_header(request, "Authorization", change(request.values[b"authorization"]))
    return changed(request, raw_query=change(request.raw_query))


def without_signed(request: Request, claim: Claim, name: bytes) -> Request:
    """A name less in the list of signed headers."""
    kept = [other for other in claim.signed_headers if other != name]

    def shorten(text: bytes) -> bytes:
        for glue in (b";", b"%3B"):
            text = text.replace(glue.join(claim.signed_headers), glue.join(kept))
        return text
    return at_authorization(request, shorten)


def tamper_query(request: Request, draw: Draw) -> Request:
    items = request.raw_query.split(b"&") if request.raw_query else []
    place = draw(st.integers(0, len(items)))
    new = quote(draw(unicode), safe="").encode() + b"=" + quote(draw(telling), safe="").encode()
    if place == len(items) or draw(st.booleans()):
        items.insert(place, new)
    else:
        items[place] = new
    return changed(request, raw_query=b"&".join(items))


def tamper_header(request: Request, draw: Draw) -> Request:
    name = draw(st.sampled_from(sorted(parse(request).signed_headers)))
    value = request.values[name]
    new = draw(st.sampled_from([value + b"x", b"x" + value, value + b",", value[:-1], None]))
    return with_header(request, name.decode(), new)


def tamper_date(request: Request, draw: Draw) -> Request:
    """A second more or less, the day as it was."""
    claim = parse(request)
    second = f"{(int(claim.timestamp[13:15]) + draw(st.sampled_from([1, 30, 59]))) % 60:02}"
    old, new = claim.timestamp.encode(), f"{claim.timestamp[:13]}{second}Z".encode()
    headers = []
    for name, value in request.headers:
        if name.lower() == b"date":
            headers.append((name, value.replace(value[-8:-6] if value.endswith(b"-0000") else value[-6:-4], second.encode())))
        else:
            headers.append((name, value.replace(old, new)))
    return changed(request, headers=tuple(headers), raw_query=request.raw_query.replace(old, new))


def tamper_signature(request: Request, draw: Draw) -> Request:
    signature = parse(request).signature
    place = draw(st.integers(0, 63))
    other = draw(st.sampled_from("0123456789abcdefABCDEFg "))
    new = draw(st.sampled_from([signature[:place] + other + signature[place + 1:], signature[:place], signature + other,
                                signature.upper(), signature[::-1]]))
    return at_authorization(request, lambda text: text.replace(signature.encode(), new.encode()))


def tamper_hash(request: Request, draw: Draw) -> Request:
    new = draw(st.sampled_from([b"UNSIGNED-PAYLOAD", b"", b"0" * 64, b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"]))
    return with_header(request, "X-Amz-Content-Sha256", new)


def tamper_list(request: Request, draw: Draw) -> Request:
    claim = parse(request)
    return without_signed(request, claim, draw(st.sampled_from(claim.signed_headers)))


TAMPERERS: dict[str, Callable[[Request, Draw], Request]] = {
    "method": lambda request, draw: changed(request, method=draw(st.sampled_from(["GET", "POST", "DELETE", "PUT", "get", ""]))),
    "path": lambda request, draw: changed(request, raw_path=draw(paths).encode()),
    "segment": lambda request, _: changed(request, raw_path=request.raw_path + b"x"),
    "query": tamper_query,
    "host": lambda request, draw: with_header(request, "Host", draw(st.sampled_from([b"localhost", b"x:1", b"x", b"[::1]"]))),
    "header": tamper_header,
    "list": tamper_list,
    "date": tamper_date,
    "body": lambda request, draw: changed(request, body=draw(st.binary(max_size=20))),
    "hash": tamper_hash,
    "token": lambda request, draw: with_header(request, "X-Amz-Security-Token", draw(st.sampled_from([b"other", b"", None]))),
    "signature": tamper_signature,
}


def meaning(request: Request) -> tuple[object, ...]:
    """All of a request that its signature is of, in a form that does not know how to make signatures."""
    claim = parse(request)
    body = b"" if request.values.get(b"x-amz-content-sha256") == b"UNSIGNED-PAYLOAD" else request.body
    path = [part for part in request.raw_path.split(b"/") if part not in {b"", b"."}]
    while b".." in path:
        place = path.index(b"..")
        del path[max(place - 1, 0):place + 1]
    query = [tuple(unquote_to_bytes(part) for part in item.replace(b"+", b" ").partition(b"="))
             for item in request.raw_query.split(b"&") if item]
    return (request.method, path, bool(path) and request.raw_path.endswith(b"/"), sorted((name, value) for name, _, value in query),
            {name: request.values[name] for name in claim.signed_headers}, request.values.get(b"x-amz-content-sha256"), body,
            claim.signature, claim.token, claim.timestamp)


@pytest.mark.parametrize("part", TAMPERERS)
@given(signed_requests(), st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_was_changed_since_is_refused(part: str, made: tuple[Request, str | None], data: st.DataObject) -> None:
    request, token = made
    before = parse(request)
    tampered = TAMPERERS[part](request, data.draw)
    with pytest.raises(AccessDenied) as refusal:  # noqa: PT012 - what cannot be read has no meaning, and is refused as well
        assume(meaning(tampered) != meaning(request))
        check(tampered, token=token, now=before.signed_at)
    assert SECRET not in str(refusal.value)
    assert before.signature not in str(refusal.value)


@given(signed_requests(), st.sampled_from(["day", "region", "service", "terminator"]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_signature_is_good_for_its_scope_only(made: tuple[Request, str | None], part: str) -> None:
    request, token = made
    claim = parse(request)
    other = {"day": "20010101", "region": "eu-west-1", "service": "sagemaker", "terminator": "aws5_request"}[part]
    scope = "/".join(claim.credential._replace(**{part: other})[1:5])
    tampered = at_authorization(request, lambda text: text.replace(claim.scope.encode(), scope.encode()).replace(
        quote(claim.scope, safe="").encode(), quote(scope, safe="").encode()))
    with pytest.raises(AccessDenied):
        check(tampered, token=token, now=claim.signed_at)
    with pytest.raises(AccessDenied):  # not even by a server that is there
        check(tampered, token=token, now=claim.signed_at, region="eu-west-1" if part == "region" else REGION,
              service="sagemaker" if part == "service" else SERVICE)


words = st.sampled_from([b"AWS4-HMAC-SHA256", b" ", b",", b", ", b"=", b"/", b";", b"Credential=", b"SignedHeaders=", b"Signature=",
                         b"AKIDEXAMPLE/20150830/us-east-1/neptune-db/aws4_request", b"host;x-amz-date", b"host", b"0" * 64, b"%zz",
                         b"\xff", b"\x00", b"\n", b"X-Amz-Signature=", b"X-Amz-Algorithm=AWS4-HMAC-SHA256", b"&", b"X-Amz-Expires=",
                         b"X-Amz-Credential=", b"X-Amz-Date=", b"X-Amz-SignedHeaders=", b"20150830T123600Z", b"20159999T999999Z",
                         b"00000000T000000Z", b"Sun, 30 Aug 2015 12:36:00 GMT", "é".encode(), b"9" * 30])
garbage = st.one_of(st.binary(max_size=60), st.lists(st.one_of(words, st.binary(max_size=3)), max_size=16).map(b"".join))


@given(garbage, st.lists(garbage, min_size=7, max_size=7), st.sampled_from(["header", "query", "both"]), st.text(max_size=5))
@settings(max_examples=500, deadline=None, derandomize=True)
def test_any_bytes_raise_nothing_but_the_refusal(authorization: bytes, bytes_: list[bytes], where: str, method: str) -> None:
    path, query, date, host, token, sent, body = bytes_
    headers = [(b"Host", host), (b"X-Amz-Date", date), (b"Date", date), (b"X-Amz-Security-Token", token), (sent, sent),
               (b"X-Amz-Content-Sha256", sent)]
    if where != "query":
        headers.append((b"Authorization", authorization))
    request = Request(method=method, raw_path=path, raw_query=query if where == "header" else authorization, headers=tuple(headers),
                      body=body)
    with pytest.raises(AccessDenied):
        check(request, now=1440938160)


@given(signed_requests(), st.integers(0, 400), garbage)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_garbage_in_a_good_request_raises_nothing_but_the_refusal(made: tuple[Request, str | None], place: int, new: bytes) -> None:
    request, token = made
    signed_at = parse(request).signed_at
    tampered = at_authorization(request, lambda text: text[:place] + new + text[place + 3:])
    tampered = with_header(tampered, "X-Amz-Date", new) if place % 5 == 0 else tampered
    try:
        check(tampered, token=token, now=signed_at)
    except AccessDenied:
        return
    assert meaning(tampered) == meaning(request)
