"""What the programs of a training job read."""

from pathlib import Path

from despina.core.errors import WorkFailed
from despina.core.location import Location
from despina.graph.graph import Graph
from despina.programs.context import Context


def processed_graph(context: Context, location: str) -> tuple[Path, Graph]:
    """The local folder of a data-processing job's output, and the graph in it.

    Raises:
        WorkFailed: there is no processed graph at the location.
        ArtifactError: the location cannot be read.
    """
    folder = Path(context.store.get(Location.parse(location)))
    if not (folder / "graph" / "graph.json").is_file():
        raise WorkFailed(f"there is no processed graph at {location}: the file graph/graph.json is missing")
    return folder, Graph.load(folder / "graph")
