"""Endpoints as they are waited for and shown."""

import pytest

from despina.cli import endpoint_tables, endpoints, exits


@pytest.mark.parametrize(("status", "reason", "deleted", "status_of_exit"), [
    ("Creating", None, False, None),
    ("Updating", "the model before failed", False, None),
    ("InService", None, False, exits.DONE),
    ("InService", "the update failed", False, exits.FAILED),
    ("Failed", "no such model", False, exits.FAILED),
    ("Deleting", None, False, None),
    ("Deleted", None, False, exits.STOPPED),
    ("InService", None, True, None),
    ("Deleting", None, True, None),
    ("Deleted", None, True, exits.DONE),
])
def test_the_exit_status_of_wait(status: str, reason: str | None, status_of_exit: int | None, *, deleted: bool) -> None:
    assert endpoints._exit(status, reason, deleted=deleted) == status_of_exit


def test_answers_of_each_form_are_tables() -> None:
    lines = endpoint_tables.predictions({"output": {"edges": [
        {"headNodeId": "a", "predictions": [{"nodeId": "b", "nodeType": "t", "rawScore": 2.5, "score": 0.92}]},
        {"headNodeId": "a", "tailNodeId": "c", "predictions": [{"value": 3.25}]},
        {"headNodeId": "x", "error": {"code": "UnknownNode", "message": "There is no node 'x'"}}]}}).splitlines()
    assert lines[0].split() == ["ITEM", "NODEID", "NODETYPE", "RAWSCORE", "SCORE", "VALUE"]
    assert lines[1].split() == ["a", "b", "t", "2.5000", "0.9200", "-"]
    assert lines[2].split() == ["a", "→", "c", "-", "-", "-", "-", "3.2500"]
    assert lines[3] == "x: UnknownNode: There is no node 'x'"
    assert endpoint_tables.predictions({"output": {}}) == '{\n  "output": {}\n}', "what a model of one's own answers, as it is"
