"""Incremental processing: types, features and target may not change."""

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from tests.unit.graph.continuing import (
    KNOWS,
    LIVES,
    LIVES_IN,
    OTHER,
    PLACE,
    PLACES,
    SINCE,
    TWO_CHANGES,
    WITH_PLACES,
    Json,
    earlier,
    features,
    go_on,
)
from tests.unit.graph.people import CONFIGURATION, EDGES, FILES, NODES, read, write

from despina.graph.encodings import TypeEncodings
from despina.graph.faults import Fault, InputFault
from despina.graph.features import Encoding, RawEncoding, SentenceEncoding, WordVectorsEncoding
from despina.graph.schema import read_configuration

LINK = [{"label": ["", "link_prediction"]}]
LINKS: Json = {"graph.nodes.0.labels": [], "graph.edges.0.labels": LINK, "graph.edges.1": LIVES}
"""Who knows whom is predicted, and who lives where is not."""
SORT = {"label": ["sort", "classification"]}
SORTED: Json = {"graph.nodes.0.labels.0": SORT, "graph.nodes.1": PLACE | {"features": []}}
KINDS = {"file_name": EDGES, "source": ["~from", "person"], "relation": ["", "knows"], "dest": ["~to", "person"],
         "labels": [{"label": ["weight", "regression"]}]}
HOMES = LIVES | {"features": [], "labels": [{"label": ["weight", "regression"]}]}
SORTS = {NODES: FILES[NODES].replace("group", "sort")}


@pytest.mark.parametrize(("before", "changes", "now", "then"), [
    ({}, {"graph.nodes.0.features.2": SINCE}, "the node type 'person' has the feature 'since'", "it had not"),
    ({}, {"graph.nodes.0.features.1": None}, "the node type 'person' lacks the feature 'town'", "it had it"),
    ({}, {"graph.edges.0.features": []}, "the edge type (person)-knows-(person) lacks the feature 'weight'", "it had it"),
    ({}, {"graph.edges.0.features.1": {"feature": ["~id", "id", "none"]}},
     "the edge type (person)-knows-(person) has the feature 'id'", "it had not"),
    ({}, WITH_PLACES | {"graph.edges.1": LIVES | {"dest": ["~to", "person"]}},
     "the node type 'place' has a file ('place.csv')", "it had none"),
    ({"graph.edges.1": LIVES}, WITH_PLACES, "the node type 'place' has a file ('place.csv')", "it had none"),
    ({}, {"graph.edges.0.relation": ["", "likes"]}, "there are edges of the edge type (person)-likes-(person)", "there were none"),
    ({}, {"graph.edges.0.dest": ["~to", "friend"]}, "there are edges of the edge type (person)-knows-(friend)", "there were none"),
    ({}, {"graph.nodes.0.labels.0": {"label": ["since", "classification"]}}, "what is predicted is node_class 'since'",
     "it was node_class 'group'"),
    ({}, {"graph.nodes.0.labels.0": {"label": ["group", "regression"]}}, "what is predicted is node_regression 'group'",
     "it was node_class 'group'"),
    ({}, {"graph.nodes.0.labels": []}, "what is predicted is link_predict ''", "it was node_class 'group'"),
    ({"graph.nodes.0.labels": []}, {}, "what is predicted is node_class 'group'", "it was link_predict ''"),
    (SORTED, {"graph.nodes.0.labels": [], "graph.nodes.1": SORTED["graph.nodes.1"] | {"labels": [SORT]}},
     "what is predicted is of the node type 'place'", "it was of the node type 'person'"),
    ({}, {"graph.nodes.0.labels.0.separator": ";"}, "a cell may hold several labels", "it held one"),
    ({"graph.nodes.0.labels.0.separator": ";"}, {}, "a cell holds one label", "it might hold several"),
    (LINKS, {**LINKS, "graph.edges.1": LIVES | {"labels": LINK}}, f"the edge type {LIVES_IN} is predicted", "it was not"),
    ({**LINKS, "graph.edges.1": LIVES | {"labels": LINK}}, LINKS, f"the edge type {LIVES_IN} is not predicted", "it was"),
], ids=["new feature", "lost feature", "lost feature of edges", "new feature of edges", "new node type", "file for named nodes",
        "new relation", "new end", "other property", "other task", "links instead", "instead of links", "other node type",
        "several labels", "one label", "another edge type", "one edge type less"])
def test_what_may_not_change(tmp_path: Path, before: Json, changes: Json, now: str, then: str) -> None:
    files = PLACES | (SORTS if before is SORTED else {})
    first = read(write(tmp_path / "first", before, files))
    with pytest.raises(InputFault) as caught:
        go_on(first, tmp_path / "second", changes, files)
    finding = caught.value.findings[0]
    assert finding.name is Fault.SCHEMA_CHANGED
    assert finding.text.startswith(f"{now}, and {OTHER} {then}; incremental processing needs the same types, features and target")


def test_everything_that_has_changed_is_told_at_once(tmp_path: Path) -> None:
    first = read(write(tmp_path / "first"))
    changes = TWO_CHANGES | {"graph.nodes.0.labels.0": {"label": ["age", "regression"]}, "graph.nodes.0.features.0": None}
    changes |= {"graph.nodes.1": PLACE}
    del changes["graph.nodes.0.features.2"]
    with pytest.raises(InputFault) as caught:
        go_on(first, tmp_path / "second", changes, PLACES)
    assert [finding.text.partition(", and ")[0] for finding in caught.value.findings] == [
        "what is predicted is node_regression 'age'", "the node type 'person' lacks the feature 'age'",
        "the node type 'place' has a file ('place.csv')", "the edge type (person)-knows-(person) lacks the feature 'weight'"]


def test_relations_of_a_column_may_not_be_new(tmp_path: Path) -> None:
    changes = {"graph.edges.0.relation": ["~label", ""]}
    first = read(write(tmp_path / "first", changes))
    files = {EDGES: FILES[EDGES].replace('"2","knows"', '"2","likes"').replace('"3","knows"', '"3","hates"')}
    with pytest.raises(InputFault) as caught:
        go_on(first, tmp_path / "second", changes, files)
    assert [(finding.name, finding.file) for finding in caught.value.findings] == [(Fault.SCHEMA_CHANGED, EDGES)] * 2
    assert caught.value.findings[0].text.startswith(
        f"{EDGES}: there are edges of the edge type (person)-likes-(person), and {OTHER} there were none; incremental processing")
    fewer = go_on(first, tmp_path / "third", changes, {EDGES: "".join(FILES[EDGES].splitlines(keepends=True)[:2])})
    assert fewer.rows[KNOWS] == 1


def test_relations_of_a_column_may_be_predicted_beside_others_that_are_not(tmp_path: Path) -> None:
    likes = {"file_name": "likes.csv", "source": ["~from", "person"], "relation": ["", "likes"], "dest": ["~to", "person"]}
    changes = {"graph.nodes.0.labels": [], "graph.edges.0.relation": ["~label", ""], "graph.edges.0.labels": LINK,
               "graph.edges.1": likes}
    files = {"likes.csv": "~from,~to\na,b\n"}
    first = read(write(tmp_path / "first", changes, files))
    assert list(first.graph.target.by_type) == [KNOWS]
    assert list(go_on(first, tmp_path / "second", changes, files).graph.target.by_type) == [KNOWS]
    with pytest.raises(InputFault, match=r"the edge type \(person\)-knows-\(person\) is not predicted"):
        go_on(first, tmp_path / "third", changes | {"graph.edges.0.labels": [], "graph.edges.1.labels": LINK}, files)


def test_what_was_predicted_stays_in_the_target_when_it_has_no_rows(tmp_path: Path) -> None:
    both = {**LINKS, "graph.edges.1": LIVES | {"labels": LINK}}
    numbers = {"graph.nodes.0.labels": [], "graph.edges.0": KINDS, "graph.edges.1": HOMES}
    weighed = PLACES | {"lives.csv": PLACES["lives.csv"].replace("since", "weight")}
    for before, files in ((both, PLACES), (numbers, weighed)):
        first = read(write(tmp_path / "first", before, files))
        assert list(first.graph.target.by_type) == [KNOWS, LIVES_IN]
        changes = {path: value for path, value in before.items() if path != "graph.edges.1"}
        second = go_on(first, tmp_path / "second", changes, files)
        target = earlier(first).complete(second.graph.target, second.rows)
        assert list(target.by_type) == [KNOWS, LIVES_IN]
        assert target.by_type[KNOWS] is second.graph.target.by_type[KNOWS]
        empty, kept = target.by_type[LIVES_IN], first.graph.target.by_type[LIVES_IN]
        assert (len(empty.train), len(empty.valid), len(empty.test)) == (0, 0, 0)
        if before is both:
            assert empty.labels is None
        else:
            assert empty.labels is not None
            assert kept.labels is not None
            assert (len(empty.labels), empty.labels.dtype) == (0, kept.labels.dtype)
        second = replace(second, graph=replace(second.graph, target=target))
        third = go_on(second, tmp_path / "third", before, files)
        assert list(third.graph.target.by_type) == [KNOWS, LIVES_IN]


def test_a_feature_of_another_type_is_encoded_as_before_with_a_warning(tmp_path: Path) -> None:
    types = {"graph.nodes.0.features": [{"feature": ["age", "age", "category"]}, {"feature": ["town", "town", "auto"]}],
             "graph.edges.0.features.0.feature": ["weight", "weight", "numerical"]}
    others = {"graph.nodes.0.features": [{"feature": ["age", "age", "numerical"]}, {"feature": ["town", "town", "text_tfidf"]}],
              "graph.edges.0.features.0.feature": ["weight", "weight", "bucket_numerical"],
              "graph.edges.0.features.0.range": [0, 9], "graph.edges.0.features.0.bucket_cnt": 3}
    first = read(write(tmp_path / "first", types))
    second = go_on(first, tmp_path / "second", others)
    assert second.warnings == tuple(f"the feature {text}, as in the earlier job" for text in (
        "'age' of node type 'person' is numerical here, and is encoded as category",
        "'town' of node type 'person' is text_tfidf here, and is encoded as category",
        "'weight' of edge type (person)-knows-(person) is bucket_numerical here, and is encoded as numerical"))
    assert features(second.graph) == features(first.graph)
    assert second.encodings == first.encodings
    assert go_on(first, tmp_path / "third", types).warnings == ()


@pytest.mark.parametrize("now", ["text_sbert", "text_sbert128", "text_sbert512", "text_fasttext", "text_word2vec", "none"])
def test_feature_types_are_told_from_encodings_of_other_names(tmp_path: Path, now: str) -> None:
    first = read(write(tmp_path / "first"))
    known, language = earlier(first), {"language": "en"} if now == "text_fasttext" else {}
    kinds: dict[str, Encoding] = {
        "text_sbert": SentenceEncoding(max_tokens=1, model="m", fingerprint="f", width=2),
        "word_vectors": WordVectorsEncoding(language="en", max_length=None, words=1, width=2), "none": RawEncoding()}
    write(tmp_path / "now", {"graph.nodes.0.features.1": {"feature": ["town", "town", now]} | language})
    configuration = read_configuration(CONFIGURATION, (tmp_path / "now" / CONFIGURATION).read_bytes())
    warned = []
    for kind, encoding in kinds.items():
        encodings = TypeEncodings(features=first.encodings.nodes["person"].features | {"town": encoding}, dropped={})
        other = replace(known, encodings=structs.replace(known.encodings, nodes={"person": encodings}))
        warned += [kind] if other.check(configuration).warnings else []
    own = "text_sbert" if "sbert" in now else "none" if now == "none" else "word_vectors"
    assert warned == [kind for kind in kinds if kind != own]
