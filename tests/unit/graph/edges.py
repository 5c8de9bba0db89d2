"""Exports of edges between the people of ``people``, and what is read of them."""

from pathlib import Path
from typing import Any

from tests.unit.graph.people import read, write

from despina.graph.graph import EdgeType, Graph, Labelled, Target

Json = dict[str, Any]
KNOWS, LIKES = EdgeType("person", "knows", "person"), EdgeType("person", "likes", "person")
KIND, WEIGHT = {"label": ["kind", "classification"]}, {"label": ["weight", "regression"]}
LINKS = {"label": ["", "link_prediction"]}
FILES = {"train": "train.csv", "valid": "valid.csv", "test": "test.csv"}
CLASSES, NUMBERS, PLAIN = "~from,~to,kind", "~from,~to,weight", "~from,~to"
PEOPLE = "abcdef"
NO_EDGE = "no edge of type (person)-knows-(person) goes from there to the node in the column '~to'"
RELATIONS = "; it must be the relation of edges that the file divides: "


def lines(header: str, *rows: str) -> str:
    return "".join(f"{line}\n" for line in (header, *rows))


def entry(label: Json | None, *, file: str = "knows.csv", relation: tuple[str, str] = ("", "knows"), **options: Any) -> Json:
    """A file of edges between people, ``options`` of whose label are these."""
    return {"file_name": file, "source": ["~from", "person"], "relation": list(relation), "dest": ["~to", "person"],
            "labels": [] if label is None else [{**label, **options}]}


def graph_of(folder: Path, edges: list[Json], files: dict[str, str]) -> Graph:
    return read(write(folder, {"graph.nodes.0.labels": [], "graph.edges": edges}, files)).graph


def target_of(folder: Path, edges: list[Json], files: dict[str, str]) -> Target:
    return graph_of(folder, edges, files).target


def parts(labelled: Labelled) -> list[list[int]]:
    """The rows of the training, validation and test part."""
    return [mask.nonzero()[0].tolist() for mask in (labelled.train, labelled.valid, labelled.test)]


def members(labelled: Labelled) -> list[int]:
    """The rows that are in any part."""
    return sorted(row for part in parts(labelled) for row in part)


def sizes(labelled: Labelled) -> list[int]:
    return list(map(len, parts(labelled)))


def values(labelled: Labelled) -> list[Any]:
    """The labels by rows."""
    assert labelled.labels is not None
    return list(labelled.labels.tolist())


def assert_disjoint(target: Target) -> None:
    for labelled in target.by_type.values():
        assert (labelled.train.astype(int) + labelled.valid + labelled.test).max(initial=0) <= 1
