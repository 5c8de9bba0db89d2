"""Explanations as they stand in answers."""

from despina.graph.graph import Graph
from despina.graph.overlay import Overlay
from despina.learn.explaining import Explanation
from despina.programs.serving.properties import Answer


def told(explanation: Explanation, graph: Graph, overlay: Overlay, of: Answer) -> Answer:
    """An explanation by raw ids.

    Args:
        explanation: Of a prediction.
        graph: That it was made in.
        overlay: What was there beside it.
        of: What of the prediction is explained, as in ``{"class": "Drama"}``; a class by its log-odds.
    """
    names = {node_type: {index: node_id for node_id, index in ids.items()} for node_type, ids in overlay.ids.items()}

    def name(node_type: str, index: int) -> str:
        ids = graph.node_ids[node_type]
        return ids[index] if index < len(ids) else names[node_type][index]

    neighbours = []
    for found in explanation.neighbours:
        node_type = found.edge_type.source if found.inwards else found.edge_type.destination
        neighbours.append({"nodeId": name(node_type, found.index), "nodeType": node_type, "relation": found.edge_type.relation,
                           "direction": "in" if found.inwards else "out", "weight": found.weight})
    return {**of, "logOdds" if "class" in of else "score": explanation.score, "neighbours": neighbours,
            "relations": [{"relation": ",".join(edge_type), "weight": weight} for edge_type, weight in explanation.relations],
            "properties": [{"nodeId": name(found.node_type, found.index), "nodeType": found.node_type, "property": found.name,
                            "weight": found.weight} for found in explanation.properties]}
