"""N-Triples and N-Quads are read as the W3C defines them, and a malformed line is named with its place and what would be right."""

import gzip
from pathlib import Path

import pytest

from despina.graph import ntriples
from despina.graph.faults import Fault, InputFault
from despina.graph.ntriples import read_triples

S, P, O = "<http://e/s>", "<http://e/p>", "<http://e/o>"  # noqa: E741 - the names that RDF gives them
Rows = list[tuple[str, str, str, bool]]


def read(folder: Path, content: str | bytes) -> Rows:
    path = folder / "f.nt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(row[0], row[1], row[2], row[3]) for row in read_triples({"f.nt": path}).rows()]


def test_the_kinds_of_terms(tmp_path: Path) -> None:
    assert read(tmp_path, f'{S} {P} {O} .\n_:a.b {P} _:c .\n{S} {P} "text" .\n') == [
        ("http://e/s", "http://e/p", "http://e/o", False), ("_:a.b", "http://e/p", "_:c", False),
        ("http://e/s", "http://e/p", "text", True)]


@pytest.mark.parametrize(("literal", "value"), [
    ('"a"@en-GB', "a"), ('"1.5"^^<http://www.w3.org/2001/XMLSchema#double>', "1.5"), ('"true"^^<http://e/boolean>', "true"),
    ('""', ""), (r'"say \"@en\" \\ \t|\n|\r|\b|\f|\'"', "say \"@en\" \\ \t|\n|\r|\b|\f|'"), (r'"\u00e9\U0001F600"', "é😀"),
    (r'"\\u0041"', r"\u0041"), ('"é . # <x>"', "é . # <x>"), ('"a\u2028b"', "a\u2028b"),
])
def test_literals_become_their_lexical_form(tmp_path: Path, literal: str, value: str) -> None:
    assert read(tmp_path, f"{S} {P} {literal} .") == [("http://e/s", "http://e/p", value, True)]


def test_escapes_in_iris_are_decoded(tmp_path: Path) -> None:
    assert read(tmp_path, rf"<http://e/\u00e9> {P} {O} .")[0][0] == "http://e/é"


@pytest.mark.parametrize("line", [f"{S} {P} {O} {S} .", f"{S} {P} {O} _:g .", f"{S}{P}{O}{S}.", f"\t{S}\t{P} {O}. # {O}"])
def test_graphs_blanks_and_comments_say_nothing(tmp_path: Path, line: str) -> None:
    assert read(tmp_path, f"# comment\n\n{line}\n  # another\n") == [("http://e/s", "http://e/p", "http://e/o", False)]


def test_a_triple_counts_once(tmp_path: Path) -> None:
    assert len(read(tmp_path, f"{S} {P} {O} <http://e/g> .\n{S} {P} {O} <http://e/h> .\n{S} {P} {O} .\n")) == 1
    assert len(read(tmp_path, f'{S} {P} {O} .\n{S} {P} "http://e/o" .\n')) == 2, "a literal is no IRI"


def test_several_files(tmp_path: Path) -> None:
    contents = {"1.nt": f"{S} {P} {O} .\n", "2.nq": f'{S} {P} {O} {S} .\n{S} {P} "x" {S} .\n', "3.nt": "# nothing\n"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_triples({name: tmp_path / name for name in ("1.nt", "2.nq")}).rows() == [
        ("http://e/s", "http://e/p", "http://e/o", False), ("http://e/s", "http://e/p", "x", True)]
    with pytest.raises(InputFault, match=r"^3\.nt: the file has no triples$"):
        read_triples({name: tmp_path / name for name in contents})


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_line_ends(tmp_path: Path, end: str) -> None:
    assert len(read(tmp_path, f'{S} {P} {O} .{end}{S} {P} "x" .{end}')) == 2


def test_gzip_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    assert read(tmp_path, gzip.compress(f"{S} {P} {O} .\n".encode())) == read(tmp_path, f"{S} {P} {O} .\n")


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert len(read(tmp_path, f"\ufeff{S} {P} {O} .\n")) == 1


def test_files_larger_than_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntriples, "CHUNK", 50)
    content = "".join(f'<http://e/{i}> {P} "é{i}" .\r\n' for i in range(100))
    assert read(tmp_path, content) == [(f"http://e/{i}", "http://e/p", f"é{i}", True) for i in range(100)]
    with pytest.raises(InputFault, match=r"^f\.nt, line 101: column 1: the subject must be "):
        read(tmp_path, content + "no triple\n")


GOOD = f"{S} {P} {O} .\n"
MALFORMED = {
    "text": ("hello", "column 1: the subject must be an absolute IRI in <…> or a blank node _:name; here is 'hello'"),
    "literal subject": (f'"a" {P} {O} .', "column 1: the subject must be an absolute IRI"),
    "relative IRI": (f"<s> {P} {O} .", "column 1: the subject must be an absolute IRI"),
    "blank in an IRI": (f"<http://e/a b> {P} {O} .", "column 1: the subject must be"),
    "blank predicate": (f"{S} _:p {O} .", "column 14: the predicate must be an absolute IRI in <…>; here is '_:p <http://e/o> .'"),
    "prefixed name": (f"{S} rdf:type {O} .", "column 14: the predicate must be"),
    "no object": (f"{S} {P} .", "column 27: the object must be an absolute IRI in <…>, a blank node _:name or a literal in double"),
    "single quotes": (f"{S} {P} 'a' .", "column 27: the object must be"),
    "open quote": (f'{S} {P} "a .', "column 27: the object must be"),
    "wrong escape": (rf'{S} {P} "a\q" .', r"no other escapes than \t \b \n \r \f \" \' \\ \uXXXX \UXXXXXXXX; here is"),
    "short escape": (rf'{S} {P} "a\u12" .', "column 27: the object must be"),
    "bare number": (f"{S} {P} 5 .", "column 27: the object must be"),
    "no full stop": (f"{S} {P} {O}", "column 39: the end must be a full stop; here is 'nothing'"),
    "literal graph": (f'{S} {P} {O} "g" .', """column 40: the end must be a full stop; here is '"g" .'"""),
    "two statements": (f"{S} {P} {O} . {S} {P} {O} .", "column 42: what follows the full stop must be nothing or a # comment"),
    "language of nothing": (f'{S} {P} "a"@ .', "column 30: the end must be a full stop; here is '@ .'"),
    "surrogate": (rf'{S} {P} "\uD83D\uDE00" .', r"'\uD83D' stands for no character"),
    "beyond Unicode": (rf'{S} {P} "\U00110000" .', r"'\U00110000' stands for no character"),
    "NUL": (rf'{S} {P} "\u0000" .', r"'\u0000' stands for no character"),
}


@pytest.mark.parametrize(("line", "expected"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_line_is_named(tmp_path: Path, line: str, expected: str) -> None:
    with pytest.raises(InputFault) as caught:
        read(tmp_path, f"{GOOD}# comment\n{line}\n{GOOD}")
    assert str(caught.value).startswith("f.nt, line 3: ")
    assert expected in str(caught.value)
    finding, = caught.value.findings
    no_character = "stands for no character" in expected
    assert (finding.name, finding.file, finding.line) == (Fault.INVALID_TEXT if no_character else Fault.MALFORMED_FILE, "f.nt", 3)


@pytest.mark.parametrize(("content", "expected"), [
    (b"", "f.nt: the file has no triples"),
    (b"# nothing\n\n", "f.nt: the file has no triples"),
    (GOOD.encode() + b'<http://e/s> <http://e/p> "\xe9" .\n',
     "f.nt, line 2: the byte 0xe9 is not UTF-8; save the file in that enc"),
    (gzip.compress(GOOD.encode() * 1000)[:-20], "f.nt, after line 0: the gzip file is truncated or damaged"),
    (b"\x1f\x8bno gzip", "f.nt, after line 0: the gzip file is truncated or damaged"),
])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes, expected: str) -> None:
    with pytest.raises(InputFault) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(expected)
    assert (caught.value.findings[0].name, caught.value.findings[0].file) == (Fault.MALFORMED_FILE, "f.nt")
