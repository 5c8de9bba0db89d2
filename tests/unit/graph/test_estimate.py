"""What is told of an export before any work is done on it, and what is refused."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from tests.unit.graph.people import CONFIGURATION, EDGES, FILES, NODES, read, write

from despina.graph.encodings import TypeEncodings
from despina.graph.estimate import (
    SENTENCE_MODEL_BYTES,
    SENTENCE_MODEL_SECONDS,
    SHORT,
    TRIPLES_PER_SECOND,
    Estimate,
    TypeEstimate,
    estimate,
    estimate_triples,
    refuse,
)
from despina.graph.export import read_export
from despina.graph.faults import Fault, Finding, InputFault
from despina.graph.features.sentences import SETTING, SentenceEncoding
from despina.graph.schema import ExportConfiguration, read_configuration

PLENTY = 2**50
MANY = 100_000
"""Rows that are more than a sample has."""


def configuration(folder: Path) -> ExportConfiguration:
    return read_configuration(CONFIGURATION, (folder / CONFIGURATION).read_bytes())


def look(folder: Path) -> Estimate:
    return estimate(folder, configuration(folder))


def refusal(folder: Path, *, memory: int = PLENTY, disk: int = PLENTY) -> tuple[Finding, ...]:
    """The findings for which the export is refused; none if it is not."""
    try:
        refuse(look(folder), folder, configuration(folder), memory=memory, disk=disk)
    except InputFault as fault:
        return fault.findings
    return ()


def people(rows: int, *, group: Callable[[int], str] = lambda i: "xy"[i % 2], note: str = "") -> str:
    """A node file of so many people."""
    lines = (f'"p{i}","person",{i % 80},"Bonn",{note},{group(i)}' for i in range(rows))
    return "~id,~label,age,town,since,group\n" + "\n".join(lines) + "\n"


def test_a_small_export_is_read_whole(tmp_path: Path) -> None:
    found = look(write(tmp_path))
    assert not found.sampled
    assert (found.files, found.rows, found.nodes, found.edges) == (2, 10, 6, 4)
    assert found.node_types == (TypeEstimate(name="person", count=6, width=4),)
    assert found.edge_types == (TypeEstimate(name="(person)-knows-(person)", count=4, width=1),)
    assert found.input_bytes == sum(len(FILES[name].encode()) for name in (NODES, EDGES))
    assert 0 < found.array_bytes < found.disk_bytes < found.peak_memory_bytes
    assert found.processing_minutes > 0
    assert (found.training_minutes or 0) > 0


def test_the_arrays_come_out_as_large_as_was_said(tmp_path: Path) -> None:
    exports: tuple[dict[str, Any], ...] = (
        {}, {"graph.nodes.0.labels.0.separator": ";", "graph.nodes.0.features.1.separator": ";"},
        {"graph.nodes.0.labels.0": {"label": ["age", "regression"]}, "graph.nodes.0.features.0": None},
        {"graph.nodes.0.labels": [], "graph.edges.0.dest": ["~to", "robot"]})
    for number, changes in enumerate(exports):
        folder = write(tmp_path / f"export-{number}", changes)
        read_export(folder, configuration(folder), lambda step, of: None).graph.save(tmp_path / f"graph-{number}")
        written = sum(np.load(path).nbytes for path in (tmp_path / f"graph-{number}").glob("*.npy"))
        assert look(folder).array_bytes == pytest.approx(written, abs=1)


def test_it_is_json(tmp_path: Path) -> None:
    found = look(write(tmp_path))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Estimate) == found
    assert found.shortened() == json.loads(msgspec.json.encode(found))


def test_the_shortened_form_leaves_out_the_smallest_types(tmp_path: Path) -> None:
    many = tuple(TypeEstimate(name=f"type {i}", count=1000 - i, width=0) for i in range(1000))
    found = msgspec.structs.replace(look(write(tmp_path)), edge_types=many)
    short = found.shortened()
    assert len(json.dumps(short)) < 3 * SHORT
    assert short["edgeTypes"][0] == {"name": "type 0", "count": 1000, "width": 0}
    assert short["nodeTypes"] == [{"name": "person", "count": 6, "width": 4}]
    assert len(short["edgeTypes"]) + short["typesLeftOut"] == 1000


@pytest.mark.parametrize("note", ["", '"two\nlines"'], ids=["plain", "cells that span lines"])
@pytest.mark.parametrize("compressed", [False, True], ids=["csv", "gzip"])
def test_a_large_file_is_sampled(tmp_path: Path, note: str, compressed: bool) -> None:
    write(tmp_path, {"graph.nodes.0.features.2": {"feature": ["since", "since", "none"]}})
    text = people(MANY, note=note).encode()
    (tmp_path / NODES).write_bytes(gzip.compress(text) if compressed else text)
    found = look(tmp_path)
    assert found.sampled
    assert found.nodes == pytest.approx(MANY, rel=0.2 if compressed else 0.02)
    assert found.edges == 4, "small files are counted"
    assert found.node_types[0].width == 2


def test_a_parquet_file_is_counted(tmp_path: Path) -> None:
    write(tmp_path, {"graph.nodes.0.file_name": "person.parquet"})
    pl.read_csv(people(MANY).encode()).write_parquet(tmp_path / "person.parquet")
    found = look(tmp_path)
    assert found.sampled
    assert found.nodes == MANY


def test_compressed_files_of_several_members_and_small_ones(tmp_path: Path) -> None:
    write(tmp_path)
    head, rest = FILES[NODES].encode().split(b"\n", 1)
    (tmp_path / NODES).write_bytes(gzip.compress(head + b"\n") + gzip.compress(rest))
    assert look(tmp_path).nodes == 6


def test_types_in_several_files_and_relations_in_a_column(tmp_path: Path) -> None:
    more = '~id,~label,age,town,since,group\n"g","person",30,"Bonn",,"x"\n'
    edges = "~id,~from,~to,how,weight\n1,a,b,well,1\n2,b,c,well,2\n3,c,g,little,3\n4,c,a,well,3\n"
    write(tmp_path, {"graph.edges.0.relation": ["how", "knows"]}, {"nodes/more.csv": more, EDGES: edges})
    document = json.loads((tmp_path / CONFIGURATION).read_bytes())
    document["graph"]["nodes"].append(document["graph"]["nodes"][0] | {"file_name": "nodes/more.csv"})
    (tmp_path / CONFIGURATION).write_text(json.dumps(document))
    found = look(tmp_path)
    assert (found.files, found.nodes, found.edges) == (3, 7, 4)
    assert [(kind.name, kind.count) for kind in found.edge_types] == [
        ("(person)-knows-well-(person)", 3), ("(person)-knows-little-(person)", 1)]


def test_node_types_without_a_file_are_named_and_not_counted(tmp_path: Path) -> None:
    found = look(write(tmp_path, {"graph.edges.0.dest": ["~to", "robot"]}))
    assert found.nodes == 6
    assert found.node_types[1] == TypeEstimate(name="robot", count=None, width=0)


def test_files_without_rows(tmp_path: Path) -> None:
    nodes, edges = (FILES[name].split("\n", 1)[0] + "\n" for name in (NODES, EDGES))
    found = look(write(tmp_path, files={NODES: nodes, EDGES: edges}))
    assert (found.rows, found.nodes, found.edges) == (0, 0, 0)
    assert found.node_types[0].count == 0


def test_wide_sets_are_counted_by_their_ones(tmp_path: Path) -> None:
    words = ";".join(f"word{i}" for i in range(1000))
    text = FILES[NODES].replace("Bonn", words)
    wide = look(write(tmp_path, {"graph.nodes.0.features.1.separator": ";"}, {NODES: text}))
    assert wide.node_types[0].width == 1 + 1002
    assert wide.array_bytes < look(write(tmp_path)).array_bytes + 2 * 1000 * 4 + 500


def test_sentence_models_are_slow_and_large_and_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = people(1000).replace("Bonn", "a town")
    plain = look(write(tmp_path, files={NODES: text}))
    changes = {"graph.nodes.0.features.1": {"feature": ["town", "town", "text_sbert"]}}
    monkeypatch.setenv(SETTING, str(tmp_path))
    with pytest.raises(InputFault) as caught:
        look(write(tmp_path, changes, {NODES: text}))
    assert [finding.name for finding in caught.value.findings] == [Fault.MISSING_MODEL]
    monkeypatch.delenv(SETTING)
    found = look(tmp_path)
    assert found.node_types[0].width == 1 + 384
    more = (found.processing_minutes - plain.processing_minutes) * 60
    assert more == pytest.approx(SENTENCE_MODEL_SECONDS, abs=1), "the model is loaded, and each different text is read once"
    assert found.peak_memory_bytes > plain.peak_memory_bytes + SENTENCE_MODEL_BYTES


def test_features_are_as_wide_as_in_the_graph_that_is_continued(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first", files={EDGES: FILES[EDGES].splitlines()[0] + "\n"}))
    text = "".join(FILES[NODES].splitlines(keepends=True)[:4])
    second = write(tmp_path / "second", {"graph.nodes.0.features.0.imputer": None}, {NODES: text})
    with pytest.raises(InputFault, match="the cell is empty; give the feature an 'imputer'"):
        look(second)
    found = estimate(second, configuration(second), earlier=first.encodings)
    assert found.node_types == (TypeEstimate(name="person", count=3, width=4),)
    assert look(write(tmp_path / "third", files={NODES: text})).node_types[0].width == 3, "of two towns"


def test_first_rows_that_cannot_be_encoded_as_earlier_are_told(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first"))
    text = FILES[NODES].replace(",40,", ",old,")
    second = write(tmp_path / "second", {"graph.nodes.0.features.0": {"feature": ["age", "age", "auto"]}}, {NODES: text})
    with pytest.raises(InputFault, match="line 3, column 'age': 'old' is not a finite number"):
        estimate(second, configuration(second), earlier=first.encodings)


def test_sentence_models_of_an_earlier_graph_have_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"graph.nodes.0.features.1": {"feature": ["town", "town", "text_sbert"]}}
    encoding = SentenceEncoding(max_tokens=128, model="another", fingerprint="0", width=10)
    earlier = read(write(tmp_path)).encodings
    nodes = {"person": TypeEncodings(features=earlier.nodes["person"].features | {"town": encoding}, dropped={})}
    monkeypatch.setenv(SETTING, str(tmp_path))
    with pytest.raises(InputFault) as caught:
        estimate(write(tmp_path, changes), configuration(tmp_path), earlier=replace(earlier, nodes=nodes))
    assert caught.value.findings[0].name is Fault.MISSING_MODEL


def test_training_is_estimated_where_it_is_offered(tmp_path: Path) -> None:
    assert look(write(tmp_path / "links", {"graph.nodes.0.labels": []})).training_minutes is None
    assert (look(write(tmp_path / "classes")).training_minutes or 0) > 0


def test_all_that_is_wrong_with_the_files_is_told_together(tmp_path: Path) -> None:
    write(tmp_path, {"graph.nodes.0.labels.0": {"label": ["group", "classification"], "custom_split_filenames": {
        "train": "train.csv", "valid": "nowhere.csv", "test": "test.csv"}}})
    (tmp_path / NODES).unlink()
    (tmp_path / EDGES).write_text("~from,~to\na,b\n")
    with pytest.raises(InputFault) as caught:
        look(tmp_path)
    assert {(finding.name, finding.file) for finding in caught.value.findings} == {
        (Fault.MISSING_FILE, NODES), (Fault.MISSING_FILE, "nowhere.csv"), (Fault.MISSING_COLUMN, EDGES)}


@pytest.mark.parametrize(("rows", "line"), [(6, 4), (MANY, 1000)])
def test_a_cell_that_cannot_be_read_is_told_with_its_line(tmp_path: Path, rows: int, line: int) -> None:
    lines = people(rows).splitlines()
    lines[line - 1] = lines[line - 1].replace(f",{(line - 2) % 80},", ",old,")
    with pytest.raises(InputFault) as caught:
        look(write(tmp_path, files={NODES: "\n".join(lines)}))
    finding, = caught.value.findings
    assert (finding.name, finding.file, finding.line, finding.value) == (Fault.INVALID_NUMBER, NODES, line, "old")


@pytest.mark.parametrize("content", [b"\x1f\x8b" + b"damaged" * 50, gzip.compress(people(1000).encode())[:-2000]],
                         ids=["damaged", "cut"])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    write(tmp_path)
    (tmp_path / NODES).write_bytes(content)
    with pytest.raises(InputFault, match="damaged or cut off"):
        look(tmp_path)


def test_what_can_be_done_is_not_refused(tmp_path: Path) -> None:
    assert refusal(write(tmp_path)) == ()


def test_memory_and_disk_that_are_missing_are_told_together(tmp_path: Path) -> None:
    found = look(write(tmp_path))
    assert refusal(tmp_path, memory=found.peak_memory_bytes, disk=found.disk_bytes) == ()
    memory, disk = refusal(tmp_path, memory=2**20, disk=0)
    assert (memory.name, disk.name) == (Fault.NOT_ENOUGH_MEMORY, Fault.NOT_ENOUGH_DISK)
    assert "need 0.1 GiB of memory, and 0.0 GiB are available" in memory.text


NO_LABELS = FILES[NODES].replace(',"x"', ",").replace(',"y"', ",")


def test_labels_that_are_missing(tmp_path: Path) -> None:
    finding, = refusal(write(tmp_path, files={NODES: NO_LABELS}))
    assert finding == Finding(name=Fault.MISSING_LABELS, file=NODES, column="group", text=(
        "nodes/person.csv, column 'group': no row has a label; a classification needs some to learn from"))


@pytest.mark.parametrize(("text", "label"), [
    (FILES[NODES].replace('"y"', '"x"'), {"label": ["group", "classification"]}),
    (FILES[NODES].replace('"y"', '"x;"'), {"label": ["group", "classification"], "separator": ";"}),
])
def test_a_classification_of_one_class(tmp_path: Path, text: str, label: dict[str, Any]) -> None:
    finding, = refusal(write(tmp_path, {"graph.nodes.0.labels.0": label}, {NODES: text}))
    assert (finding.name, finding.value) == (Fault.MISSING_LABELS, "x")
    assert finding.text.endswith("all labels are 'x'; a classification needs at least two classes")


def test_the_classes_of_an_earlier_graph_count(tmp_path: Path) -> None:
    write(tmp_path, files={NODES: FILES[NODES].replace('"y"', '"x"')})
    room = {"memory": PLENTY, "disk": PLENTY}
    refuse(look(tmp_path), tmp_path, configuration(tmp_path), earlier=("x", "y"), **room)
    with pytest.raises(InputFault, match="all labels are 'x'"):
        refuse(look(tmp_path), tmp_path, configuration(tmp_path), earlier=("x",), **room)
    write(tmp_path, files={NODES: NO_LABELS})
    with pytest.raises(InputFault, match="no row has a label"):
        refuse(look(tmp_path), tmp_path, configuration(tmp_path), earlier=("x", "y"), **room)


def test_labels_are_looked_for_to_the_last_row(tmp_path: Path) -> None:
    write(tmp_path, files={NODES: people(MANY, group=lambda i: "x" if i == 3 else "y" if i == MANY - 1 else "")})
    assert refusal(tmp_path) == ()


@pytest.mark.parametrize("valid", ["~id,group\nc,y\n", "~id\nc\n"], ids=["two classes", "one class"])
def test_labels_may_stand_in_the_files_that_list_the_parts(tmp_path: Path, valid: str) -> None:
    write(tmp_path, {"graph.nodes.0.labels.0": {"label": ["group", "classification"], "custom_split_filenames": {
        "train": "train.csv", "valid": "valid.csv"}}},
          {NODES: NO_LABELS, "train.csv": "~id,group\na,x\nb,x\n", "valid.csv": valid})
    assert len(refusal(tmp_path)) == ("group" not in valid)


def test_a_regression_needs_one_label_and_links_none(tmp_path: Path) -> None:
    regression = {"graph.nodes.0.labels.0": {"label": ["group", "regression"]}}
    assert [finding.name for finding in refusal(write(tmp_path, regression, {NODES: NO_LABELS}))] == [Fault.MISSING_LABELS]
    assert refusal(write(tmp_path, regression, {NODES: NO_LABELS + '"z","person",1,"Bonn",2001-05-01,7\n'})) == ()
    links = {"graph.nodes.0.labels": [], "graph.edges.0.labels": [{"label": ["", "link_prediction"]}]}
    assert refusal(write(tmp_path, links, {NODES: NO_LABELS})) == ()


def test_labels_of_edges(tmp_path: Path) -> None:
    changes = {"graph.nodes.0.labels": [], "graph.edges.0.features": [],
               "graph.edges.0.labels": [{"label": ["weight", "classification"]}]}
    assert refusal(write(tmp_path, changes)) == ()
    finding, = refusal(write(tmp_path, changes, {EDGES: "~from,~to,weight\na,b,\n"}))
    assert (finding.name, finding.file) == (Fault.MISSING_LABELS, EDGES)


def test_triples(tmp_path: Path) -> None:
    node = "<http://example.org/{}> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://example.org/T> .\n"
    link = "<http://example.org/{}> <http://example.org/knows> <http://example.org/1> .\n"
    name = '<http://example.org/{}> <http://example.org/name> "<some> name" .\n'
    (tmp_path / "a.nt").write_text("".join((node + link + name).format(i, i, i) for i in range(10)))
    (tmp_path / "b.nt.gz").write_bytes(gzip.compress("".join(link.format(i) for i in range(MANY)).encode()))
    found = estimate_triples(tmp_path, ["a.nt", "b.nt.gz"])
    assert [found.rows, found.edges] == pytest.approx([MANY + 30, MANY + 10], rel=0.2)
    assert found.node_types == ()
    plain = look(write(tmp_path))
    converted = estimate(tmp_path, configuration(tmp_path), triples=found)
    assert (converted.files, converted.input_bytes) == (2, sum((tmp_path / name).stat().st_size for name in ("a.nt", "b.nt.gz")))
    assert (converted.rows, converted.node_types) == (plain.rows, plain.node_types)
    assert (converted.processing_minutes - plain.processing_minutes) * 60 == pytest.approx(found.rows / TRIPLES_PER_SECOND, abs=0.1)
    assert converted.peak_memory_bytes == max(plain.peak_memory_bytes, found.peak_memory_bytes)
    with pytest.raises(InputFault, match=r"c\.nt.*no such file"):
        estimate_triples(tmp_path, ["a.nt", "c.nt"])
    with pytest.raises(InputFault, match="memory"):
        refuse(found, tmp_path, None, memory=0, disk=PLENTY)
