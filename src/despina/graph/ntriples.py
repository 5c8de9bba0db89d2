"""Reading N-Triples and N-Quads, plain or gzipped, into columns of text.

Lines are matched by one compiled pattern, some ten thousand at a time; no object is made for a single triple. Each different term
is kept once, and the columns hold its number.
Source: W3C, "RDF 1.1 N-Triples" and "RDF 1.1 N-Quads".
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

import polars as pl

from despina.graph.faults import Fault, InputFault

CHUNK = 16 * 2**20
"""Bytes that are parsed at a time."""
_GZIP_MAGIC = b"\x1f\x8b"

_ESCAPE = r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})"
_IRI = rf'<[A-Za-z][A-Za-z0-9+.-]*:(?:[^\x00-\x20<>"{{}}|^`\\]|{_ESCAPE})*>'
_BLANK = r"_:[\w:](?:[\w:.\u00B7-]*[\w:\u00B7-])?"
_STRING = rf'"(?:[^"\\\n\r\x00]|\\[tbnrf"\'\\]|{_ESCAPE})*"'
_LITERAL = rf"{_STRING}(?:@[A-Za-z]+(?:-[A-Za-z0-9]+)*|\^\^{_IRI})?"
_S = r"[ \t]*"
_STATEMENT = (rf"^{_S}({_IRI}|{_BLANK}){_S}({_IRI}){_S}({_LITERAL}|{_IRI}|{_BLANK}){_S}"
              rf"(?:(?:{_IRI}|{_BLANK}){_S})?\.{_S}(?:#.*)?$")
_NO_STATEMENT = rf"^{_S}(?:#.*)?$"

_OBJECT = ("an absolute IRI in <…>, a blank node _:name or a literal in double quotes, with no other escapes than "
           r"\t \b \n \r \f \" \' \\ \uXXXX \UXXXXXXXX")
_GRAMMAR = (
    ("the subject", f"{_IRI}|{_BLANK}", "an absolute IRI in <…> or a blank node _:name"),
    ("the predicate", _IRI, "an absolute IRI in <…>"),
    ("the object", f"{_LITERAL}|{_IRI}|{_BLANK}", _OBJECT),
    ("the graph", f"(?:{_IRI}|{_BLANK})?", ""),
    ("the end", r"\.", "a full stop"),
    ("what follows the full stop", "(?:#.*)?$", "nothing or a # comment"),
)
_ESCAPED = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_CHARACTERS = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", '"': '"', "'": "'", "\\": "\\"}


def read_triples(files: Mapping[str, Path]) -> pl.DataFrame:
    """The triples of some files, each once however often and in however many files and graphs it is stated.

    Args:
        files: how messages call each file, and where it is; gzip is known by its first bytes, whatever the name.

    Returns:
        ``subject``, ``predicate`` and ``object`` as text, escapes decoded: IRIs without brackets, blank nodes as ``_:name``,
        literals as their lexical form without language or datatype. The text is categorical, of one set of categories. ``literal``
        tells which objects are literals.

    Raises:
        InputFault: a line is malformed, the text is not UTF-8, a gzip file is damaged, or a file has no triples; with the line and
            what would be right.
    """
    terms = pl.Categorical(pl.Categories.random())  # a set of its own, so that it goes when the triples go
    parts: list[pl.DataFrame] = []
    for name, path in files.items():
        found = [_parse(name, line, text, terms) for line, text in _chunks(name, path)]
        if not any(len(part) for part in found):
            raise InputFault(Fault.MALFORMED_FILE, f"{name}: the file has no triples", file=name)
        parts += found
    return _each_once(pl.concat(parts))


def _each_once(triples: pl.DataFrame) -> pl.DataFrame:
    # A triple's three codes of 32 bits and its flag as one number take half the memory that comparing four columns does.
    subject, predicate, thing = (pl.col(name).to_physical().cast(pl.Int128) for name in ("subject", "predicate", "object"))
    number = ((subject * 2**32 + predicate) * 2**32 + thing) * 2 + pl.col("literal")
    return triples.filter(triples.select(number.alias("number")).to_series().is_first_distinct())


def _chunks(name: str, path: Path) -> Iterator[tuple[int, str]]:
    """Whole lines of the file, and the number of the first."""
    line = 1
    with path.open("rb") as plain:
        zipped = plain.read(2) == _GZIP_MAGIC
        plain.seek(0)
        file: BinaryIO = gzip.GzipFile(fileobj=plain) if zipped else plain  # type: ignore[assignment]
        try:
            while content := file.read(CHUNK):
                content += file.readline()
                yield line, _decoded(name, line, content)
                line += content.count(b"\n")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputFault(Fault.MALFORMED_FILE, f"{name}, after line {line - 1}: the gzip file is truncated or damaged "
                             f"({error})", file=name, line=line) from error


def _decoded(name: str, line: int, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line += content.count(b"\n", 0, error.start)
        raise InputFault(Fault.MALFORMED_FILE, f"{name}, line {line}: the byte {content[error.start]:#04x} is not UTF-8; save the "
                         "file in that encoding", file=name, line=line, value=f"{content[error.start]:#04x}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _parse(name: str, line: int, text: str, kind: pl.Categorical) -> pl.DataFrame:
    lines = pl.Series("line", [text]).str.split("\n").explode()
    terms = lines.str.extract_groups(_STATEMENT).struct.unnest()
    unread = terms["1"].is_null()
    if unread.any():
        malformed = unread & ~lines.str.contains(_NO_STATEMENT)
        if malformed.any():
            row = int(malformed.arg_max() or 0)
            raise _fault(name, line + row, str(lines[row]))
    numbers = pl.Series("row", range(line, line + len(lines)), dtype=pl.Int64).filter(~unread)
    terms = terms.filter(~unread)
    literal = terms["3"].str.starts_with('"')
    objects = terms["3"].zip_with(~literal, terms["3"].str.replace(r'[^"]*$', ""))  # neither tag nor datatype has a quote
    try:
        return pl.DataFrame({"subject": _plain(terms["1"], numbers).cast(kind), "predicate": _plain(terms["2"], numbers).cast(kind),
                             "object": _plain(objects, numbers).cast(kind), "literal": literal})
    except _NoCharacter as error:
        raise InputFault(Fault.INVALID_TEXT, f"{name}, line {error.line}: '{error.escape}' stands for no character; characters are "
                         "1 to 10FFFF without D800 to DFFF, and one beyond FFFF is a single \\UXXXXXXXX", file=name,
                         line=error.line, value=error.escape) from None


class _NoCharacter(Exception):
    def __init__(self, line: int, escape: str) -> None:
        self.line, self.escape = line, escape


def _plain(terms: pl.Series, lines: pl.Series) -> pl.Series:
    """Terms without their brackets or quotes, escapes decoded."""
    terms = terms.zip_with(terms.str.starts_with("_"), terms.str.slice(1).str.head(-1))
    escaped = terms.str.contains("\\", literal=True).arg_true()
    if not len(escaped):
        return terms
    return terms.scatter(escaped, [_unescaped(term, line) for term, line in zip(terms[escaped], lines[escaped], strict=True)])


def _unescaped(term: str, line: int) -> str:
    def character(found: re.Match[str]) -> str:
        if found[3]:
            return _CHARACTERS[found[3]]
        code = int(found[1] or found[2], 16)
        if code == 0 or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
            raise _NoCharacter(line, found[0])
        return chr(code)

    return _ESCAPED.sub(character, term)


def _fault(name: str, number: int, line: str) -> InputFault:
    """What is wrong with a line that is no statement."""
    at = 0
    for part, pattern, right in _GRAMMAR:
        at += len(line[at:]) - len(line[at:].lstrip(" \t"))
        found = re.compile(pattern).match(line, at)
        if found is None:
            shown = "".join(takewhile(str.isprintable, line[at:at + 60])) or "nothing"
            return InputFault(Fault.MALFORMED_FILE, f"{name}, line {number}: column {at + 1}: {part} must be {right}; here is "
                              f"'{shown}'", file=name, line=number, value=shown)
        at = found.end()
    return InputFault(Fault.MALFORMED_FILE, f"{name}, line {number}: it is not a statement of N-Triples or N-Quads", file=name,
                      line=number)
