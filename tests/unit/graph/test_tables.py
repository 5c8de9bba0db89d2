"""Files of all kinds give the same table, and what is unusual but right is read as it is meant."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from tests.unit.graph.people import EDGES, FILES, NODES, read, write

from despina.core.errors import WorkFailed
from despina.graph.graph import Graph
from despina.graph.tables import Table, find_file

SENTENCE = 'Bonn, on the "Rhine"\nin the west'


def text(folder: Path, content: bytes, name: str = "t.csv",
         columns: tuple[str, ...] = ("x", "y", "z")) -> list[tuple[str | None, ...]]:
    """The rows of a file as read, missing cells as None."""
    (folder / name).write_bytes(content)
    table = Table.read(find_file(folder, name, ","), columns)
    return list(zip(*(table.column(column).text.to_list() for column in columns), strict=True))


def labels(graph: Graph) -> list[int]:
    found = graph.target.nodes.labels
    assert found is not None
    return list(found.tolist())


def same(one: Graph, other: Graph) -> bool:
    return (one.node_ids == other.node_ids
            and one.features["person"].to_dense().tolist() == other.features["person"].to_dense().tolist()
            and all((one.edges[kind].indices == other.edges[kind].indices).all() for kind in one.edges)
            and labels(one) == labels(other))


@pytest.mark.parametrize("name", ["nodes/person.csv.gz", "nodes/person.csv", "nodes/person.gz"])
def test_gzip_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    plain = read(write(tmp_path / "plain")).graph
    folder = write(tmp_path / "zipped", {"graph.nodes.0.file_name": name})
    (folder / name).write_bytes(gzip.compress(FILES[NODES].encode()))
    assert same(read(folder).graph, plain)


def test_gzip_of_several_members_is_read_to_its_end(tmp_path: Path) -> None:
    members = gzip.compress(b"x,y,z\n1,2,3\n") + gzip.compress(b"4,5,6\n")
    assert text(tmp_path, members) == [("1", "2", "3"), ("4", "5", "6")]


def test_a_plain_file_may_be_called_gz(tmp_path: Path) -> None:
    assert text(tmp_path, b"x,y,z\n1,2,3\n", "t.csv.gz") == [("1", "2", "3")]


def test_a_parquet_export_is_the_graph_of_the_csv_export(tmp_path: Path) -> None:
    csv, folder = write(tmp_path / "csv"), write(tmp_path / "parquet", {
        "graph.nodes.0.file_name": "nodes/person.parquet", "graph.edges.0.file_name": "edges/%28knows%29.parquet"})
    pl.read_csv(csv / NODES, try_parse_dates=True).write_parquet(folder / "nodes" / "person.parquet")
    pl.read_csv(csv / EDGES).write_parquet(folder / "edges" / "(knows).parquet")
    assert same(read(folder).graph, read(csv).graph)


def test_parquet_values_become_the_text_of_a_csv_file(tmp_path: Path) -> None:
    noon = datetime(1995, 1, 31, 12, 0, 0, 5000, tzinfo=UTC)
    frame = pl.DataFrame({
        "integer": [1, None], "number": [1.5, 1e300], "truth": [True, False], "day": [date(1995, 1, 31), None],
        "local": pl.Series([noon, None]).dt.convert_time_zone("Asia/Tokyo"),
        "naive": pl.Series([noon, None]).dt.replace_time_zone(None),
        "word": pl.Series(["a", None], dtype=pl.Categorical), "text": ["", SENTENCE], "nothing": [None, None]})
    frame.write_parquet(tmp_path / "t.parquet")
    table = Table.read(find_file(tmp_path, "t.parquet", ","), list(reversed(frame.columns)))
    instant = "1995-01-31T12:00:00.005Z"
    expected = {"integer": ["1", None], "number": ["1.5", "1e+300"], "truth": ["true", "false"], "day": ["1995-01-31", None],
                "local": [instant, None], "naive": [instant, None], "word": ["a", None], "text": [None, SENTENCE],
                "nothing": [None, None]}
    assert {name: table.column(name).text.to_list() for name in frame.columns} == expected
    for name in ("local", "naive"):
        assert table.column(name).instants[0] == noon.replace(microsecond=5000)
    assert table.column("number").numbers.tolist() == [1.5, 1e300]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", [True, False])
def test_marks_and_line_ends_change_nothing(tmp_path: Path, end: str, mark: str, *, last: bool) -> None:
    lines = ["x,y,z", "1,2,", f'"","{SENTENCE.replace(chr(34), chr(34) * 2)}",3', "", ",,", '4,"5",""']
    content = (mark + end.join(lines) + end * last).encode()
    assert text(tmp_path, content) == [("1", "2", None), (None, SENTENCE, "3"), ("4", "5", None)]
    assert text(tmp_path, gzip.compress(content)) == [("1", "2", None), (None, SENTENCE, "3"), ("4", "5", None)]


@pytest.mark.parametrize("row", [
    '5" wide,7" high,', '1,"He said "hello" to me",', '"a"b"c",,', '1,"a" ,2', '1, "a","b"', '"a"\tb"c",,'])
def test_a_quote_amid_a_cell_is_refused_and_not_lost(tmp_path: Path, row: str) -> None:
    with pytest.raises(WorkFailed, match=r"^t\.csv, line 3: .*a cell that contains a double quote must itself be in double quotes"):
        text(tmp_path, f"x,y,z\n1,2,3\n{row}\n4,5,6\n".encode())


def test_a_huge_cell_is_read(tmp_path: Path) -> None:
    huge = "a,b" * 1_500_000
    assert text(tmp_path, f'x,y,z\n1,"{huge}",\n4,5,6\n'.encode()) == [("1", huge, None), ("4", "5", "6")]


def test_a_short_row_far_down_is_found_with_its_line(tmp_path: Path) -> None:
    rows = [f'{i},"a\n""b"",",\n' for i in range(200_000)]
    rows[150_000] = '7,"a\nb"\n'
    with pytest.raises(WorkFailed) as caught:
        text(tmp_path, ("x,y,z\n" + "".join(rows)).encode())
    assert str(caught.value).startswith("t.csv, line 300002: it has 2 cells, but the header has 3")


def test_columns_may_have_any_name(tmp_path: Path) -> None:
    names = ("*", "^.*$", "a b", "größe", '"', "")
    header = ",".join(json.dumps(name, ensure_ascii=False).replace("\\", '"') for name in names)
    assert text(tmp_path, f"{header}\n1,2,3,4,5,6\n".encode(), columns=names) == [("1", "2", "3", "4", "5", "6")]
    table = Table.read(find_file(tmp_path, "t.csv", ","), names)
    assert table.select(["*", "^.*$"], None).column("^.*$").text.to_list() == ["2"]


def test_a_link_within_the_export_is_followed(tmp_path: Path) -> None:
    folder = write(tmp_path, {"graph.nodes.0.file_name": "again.csv"})
    (folder / "again.csv").symlink_to(NODES)
    assert sum(read(folder).rows.values()) == 10
