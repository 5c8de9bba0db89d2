"""Which of Amazon's instance types has enough memory: recommendations in the files where Neptune ML writes them.

Despina itself runs on the machine it is on. The figures help those who plan a machine of their own, or go back to AWS.
"""

from typing import Any

from despina.graph.graph import Graph

CPU = {8: "ml.m5.large", 16: "ml.m5.xlarge", 32: "ml.m5.2xlarge", 64: "ml.m5.4xlarge", 128: "ml.m5.8xlarge",
       192: "ml.m5.12xlarge", 256: "ml.m5.16xlarge", 384: "ml.m5.24xlarge"}
"""Memory in GiB → instance type (AWS, "Amazon SageMaker ML instance types")."""
GPU = {16: "ml.g4dn.xlarge", 32: "ml.g4dn.2xlarge", 64: "ml.g4dn.4xlarge", 128: "ml.g4dn.8xlarge", 192: "ml.g4dn.12xlarge",
       256: "ml.g4dn.16xlarge"}


def smallest(instances: dict[int, str], memory: int) -> str:
    """The smallest instance type with so many bytes of memory, or the largest there is."""
    fitting = [gib for gib in sorted(instances) if gib * 2**30 >= memory]
    return instances[fitting[0] if fitting else max(instances)]


def training_recommendation(graph: Graph) -> dict[str, Any]:
    """The content of ``train_instance_recommendation.json``: instance types, and memory and disk in bytes.

    Memory is 1 GiB for the program, plus the graph, plus 2 KiB for each node: embedding, activations, gradients and optimiser state
    at 64 hidden units and two layers, in 32 bits; and for each column of zeros and ones that nodes have 1.25 KiB, for its weights.
    Disk is four times the graph, for its copies along the way.
    """
    edges = sum(csr.indptr.nbytes + csr.indices.nbytes + csr.edge_ids.nbytes for csr in graph.edges.values())
    features = sum(part.nbytes for part in (*graph.features.values(), *graph.edge_features.values()))
    columns = sum(part.hot.width for part in graph.features.values() if part.hot is not None)
    memory = 2**30 + edges + features + 2048 * sum(graph.node_counts.values()) + 1280 * columns
    return {"instance": smallest(GPU, memory), "cpu_instance": smallest(CPU, memory), "disk_size": 4 * (edges + features),
            "mem_size": memory}
