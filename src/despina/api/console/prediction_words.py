"""What a model answered about one node, edge or link, in words and as rows of tables."""

from typing import Any

from despina.api.console.descriptions import Described
from despina.core.frozen import Frozen
from despina.core.task import Task

Json = dict[str, Any]
_NUMBERS = (Task.NODE_REGRESSION, Task.EDGE_REGRESSION)
_MANY = 5
"""Reasons of a kind that are shown."""
_WORTH_A_WORD = 0.02
"""Of the greatest weight: what moved the prediction less is in the table alone."""


class Predicted(Frozen, frozen=True, kw_only=True):
    """A prediction."""

    what: str
    """A class, the id of a node, or a number."""
    kind: str = ""
    """The node's type."""
    share: float | None = None
    """From 0 to 1; None for a number."""
    text: str = ""
    """The share."""
    raw: str = ""
    """Of a link, the score that candidates are ranked by."""


class Reason(Frozen, frozen=True, kw_only=True):
    """What moved a prediction."""

    what: str
    weight: float
    text: str
    share: float
    """Of the greatest weight, from 0 to 1."""


class Reasons(Frozen, frozen=True, kw_only=True):
    """Reasons of a kind."""

    label: str
    reasons: tuple[Reason, ...]


class Shown(Frozen, frozen=True, kw_only=True):
    """An answer as the page shows it."""

    about: str
    """The node, edge or link."""
    score: str
    """What the shares are."""
    predictions: tuple[Predicted, ...]
    sentences: tuple[str, ...] = ()
    """The explanation in words."""
    reasons: tuple[Reasons, ...] = ()
    measure: str = ""
    """What the weights are of."""


def shown(described: Described, asked: Json, item: Json) -> Shown:
    """An item of an answer, one without an error.

    Args:
        described: The model.
        asked: The request.
        item: The item.
    """
    links = described.task is Task.LINK_PREDICT
    predictions = tuple(_predicted(one) for one in item["predictions"])
    explanation = item.get("explanation")
    about = _about(described, asked, item)
    if explanation is None:
        return Shown(about=about, score="Score" if links else "Probability", predictions=predictions)
    of, measure = _measure(described, explanation)
    groups = _groups(explanation)
    return Shown(about=about, score="Score" if links else "Probability", predictions=predictions, measure=measure, reasons=groups,
                 sentences=_sentences(explanation, of, measure, groups))


_NOUNS = {"Relations": ("edges of the kind", "the relations"), "Neighbours": ("the neighbour", "the neighbours"),
          "Properties": ("the property", "the properties")}


def _predicted(one: Json) -> Predicted:
    if "value" in one:
        return Predicted(what=number(one["value"]))
    share = min(1.0, max(0.0, one["score"]))
    if "class" in one:
        return Predicted(what=one["class"], share=share, text=percent(share))
    return Predicted(what=one["nodeId"], kind=one["nodeType"], share=share, text=f"{share:.3f}",
                     raw=number(one["rawScore"]) if "rawScore" in one else "")


def _about(described: Described, asked: Json, item: Json) -> str:
    if "nodeId" in item:
        nodes = described.predicted_nodes
        return f"{described.target} of {nodes.name if nodes else 'node'} {item['nodeId']}"
    relation = str(asked["data"]["globalParameters"].get("edgeType", "")).split(",")
    name = relation[1] if len(relation) == 3 else relation[0]
    head, tail = item.get("headNodeId", "?"), item.get("tailNodeId", "?")
    return f"{described.target + ' of ' if described.target else ''}{head} –{name}→ {tail}"


def _measure(described: Described, explanation: Json) -> tuple[str, str]:
    """What is explained, and in which measure."""
    if "class" in explanation:
        return f"“{explanation['class']}”", "log-odds"
    if described.task in _NUMBERS:
        return described.target, described.target
    return f"the link with {explanation.get('nodeType', '')} {explanation.get('nodeId', '')}".replace("  ", " "), "score"


def _groups(explanation: Json) -> tuple[Reasons, ...]:
    found = [
        ("Relations", [(_relation(one["relation"]), one["weight"]) for one in explanation["relations"]]),
        ("Neighbours", [(_neighbour(one), one["weight"]) for one in explanation["neighbours"]]),
        ("Properties", [(f"{one['property']} of {one['nodeType']} {one['nodeId']}", one["weight"])
                        for one in explanation["properties"]])]
    greatest = max((abs(weight) for _, rows in found for _, weight in rows), default=0) or 1.0
    return tuple(
        Reasons(label=label, reasons=tuple(
            Reason(what=what, weight=weight, text=signed(weight), share=abs(weight) / greatest) for what, weight in rows[:_MANY]))
        for label, rows in found if rows)


def _relation(text: str) -> str:
    source, _, rest = text.partition(",")
    relation, _, destination = rest.partition(",")
    return f"{source} –{relation}→ {destination}" if destination else text


def _neighbour(one: Json) -> str:
    way = f"{one['relation']} from" if one["direction"] == "in" else f"{one['relation']} to"
    return f"{way} {one['nodeType']} {one['nodeId']}"


def _sentences(explanation: Json, of: str, measure: str, groups: tuple[Reasons, ...]) -> tuple[str, ...]:
    whole: float = explanation["logOdds" if "logOdds" in explanation else "score"]
    given = "log-odds of" if measure == "log-odds" else "the value" if measure == of else "a score of"
    found = [f"The model gives {of} {given} {number(whole)}."]
    for group in groups:
        best = max(group.reasons, key=lambda one: one.weight)
        worst = min(group.reasons, key=lambda one: one.weight)
        one, many = _NOUNS[group.label]
        if best.weight > 0 and best.share >= _WORTH_A_WORD:
            found.append(f"Without {one} “{best.what}” it would be {number(best.weight)} lower.")
        if worst.weight < 0 and worst.share >= _WORTH_A_WORD:
            found.append(f"Against it speaks {one} “{worst.what}”: without, it would be {number(-worst.weight)} higher.")
        if max(best.share, worst.share) < _WORTH_A_WORD:
            found.append(f"No single one of {many} moves it much.")
    return tuple(found)


def number(value: float) -> str:
    """Three significant digits: ``0.0123``, ``5.9``; of large ones all that are before the point, with commas."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 or not value else f"{value:.1e}"


def signed(value: float) -> str:
    """With its sign: ``+0.4``, ``−0.1``; ``≈ 0`` for less than a thousandth."""
    return "≈ 0" if abs(value) < 0.001 else f"{'−' if value < 0 else '+'}{number(abs(value))}"


def percent(share: float) -> str:
    """``97.3 %``; what is not quite all or nothing is not told as such."""
    text = f"{share * 100:.1f}"
    if text == "100.0" and share < 1:
        return "> 99.9 %"
    return "< 0.1 %" if text == "0.0" and share > 0 else f"{text} %"
