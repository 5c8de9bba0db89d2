"""Whatever text is written as a literal by the rules of N-Triples is read back; whatever else is in a file, its fault is told."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from despina.graph.faults import InputFault
from despina.graph.ntriples import read_triples

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
NAMED = {"\t": "t", "\b": "b", "\n": "n", "\r": "r", "\f": "f", '"': '"', "'": "'", "\\": "\\"}
MUST = '"\\\n\r'
SNIPPETS = st.sampled_from(["<http://e/s>", "<s>", "_:b", '"a"', '"a"@en', '"a', "\\", "\\u0041", "^^", "<", ">", ".", " ", "\n",
                            "#", "\x00", "é", "\ud800"])


def read(content: bytes) -> list[tuple[str, str, str, bool]]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return read_triples({"f.nt": Path(file.name)}).rows()


@given(TEXT, st.lists(st.sampled_from("anuU"), min_size=1))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_literals_are_read_back(text: str, ways: list[str]) -> None:
    written = []
    for i, character in enumerate(text):
        way = ways[i % len(ways)]
        if way == "n" and character in NAMED:
            written.append(f"\\{NAMED[character]}")
        elif way == "u" and ord(character) <= 0xFFFF:
            written.append(f"\\u{ord(character):04x}")
        elif way == "U" or character in MUST:
            written.append(f"\\U{ord(character):08X}")
        else:
            written.append(character)
    assert read(f'<http://e/s> <http://e/p> "{"".join(written)}"@en .\n'.encode()) == [("http://e/s", "http://e/p", text, True)]


@given(st.lists(SNIPPETS, max_size=12))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_file_is_triples_or_a_fault(parts: list[str]) -> None:
    content = ("<http://e/s> <http://e/p> <http://e/o> .\n" + "".join(parts)).encode(errors="surrogatepass")
    assert outcome(content).startswith(("f.nt, line ", "http://e/s http://e/p http://e/o"))
    assert "it is not a statement" not in outcome(content), "every fault is explained"


def outcome(content: bytes) -> str:
    try:
        return " ".join(read(content)[0][:3])
    except InputFault as fault:
        return str(fault)
