"""The relational graph convolution."""

import torch
from torch import Tensor, nn

from despina.graph.graph import EdgeType
from despina.learn.adjacency import mean
from despina.learn.batches import Block
from despina.learn.linear import FeatureShape, MixedLinear


class RelationalConvolution(nn.Module):
    r"""One layer of an R-GCN, without its non-linearity.

    Schlichtkrull et al., "Modeling Relational Data with Graph Convolutional Networks", 2018, equations 2 and 3:

    .. math::
        h'_v = b + W_0 h_v + \sum_r \frac{1}{|N_r(v)|} \sum_{u \in N_r(v)} (W_r h_u + U_r e_{uv}), \qquad
        W_r = \sum_{i=1}^{B} a_{ri} V_i

    The edge feature module :math:`e_{uv} = \mathrm{ReLU}(P_r x_{uv} + p_r)` is Neptune ML's ``use-edge-features``; the paper has
    none. Means are taken before the product with :math:`W_r`, which is the same and touches each edge once, at the smaller width.

    Args:
        width: Features of the nodes read and computed.
        edge_types: All edge types, in the order of their weights.
        bases: The number B of basis matrices; 0: each :math:`W_r` has weights of its own.
        self_loop: Whether there is a :math:`W_0`.
        edge_shapes: Features of the edges, for the edge types that have any and are to use them.
        edge_hidden: The width of :math:`e_{uv}`.

    Shapes:
        In, node type → ``[n_read, width]``; out, node type → ``[n_computed, width]``; the computed nodes are the first ones read.
    """

    def __init__(self, width: int, edge_types: tuple[EdgeType, ...], *, bases: int, self_loop: bool,
                 edge_shapes: dict[EdgeType, FeatureShape], edge_hidden: int) -> None:
        super().__init__()
        self._index = {edge_type: i for i, edge_type in enumerate(edge_types)}
        self._edge_index = {edge_type: i for i, edge_type in enumerate(edge_shapes)}
        self.matrices = nn.Parameter(torch.empty(bases or len(edge_types), width, width))
        self.coefficients = nn.Parameter(torch.empty(len(edge_types), bases)) if bases else None
        self.self_loop = nn.Parameter(torch.empty(width, width)) if self_loop else None
        self.bias = nn.Parameter(torch.zeros(width))
        self.edge_inputs = nn.ModuleList(MixedLinear(shape.dense, shape.hot, edge_hidden) for shape in edge_shapes.values())
        self.edge_matrices = nn.Parameter(torch.empty(len(edge_shapes), edge_hidden, width)) if edge_shapes else None
        for stack in (self.matrices, self.edge_matrices):
            for matrix in stack if stack is not None else ():
                nn.init.xavier_uniform_(matrix)
        for weight in (self.coefficients, self.self_loop):
            if weight is not None:
                nn.init.xavier_uniform_(weight)

    def forward(self, block: Block, nodes: dict[str, Tensor]) -> dict[str, Tensor]:
        """Compute the block's destinations from the nodes it reads."""
        matrices = self.matrices if self.coefficients is None else torch.einsum("rb,bio->rio", self.coefficients, self.matrices)
        messages = block.messages
        used = [self._index[edge_type] for edge_type in messages.edge_types]
        if used != list(range(len(matrices))):
            matrices = matrices.index_select(0, torch.tensor(used, dtype=torch.int64))
        sums = messages.pass_along(_joined([nodes[node_type] for node_type in block.reads]), matrices)
        computed = dict(zip(block.destinations, torch.split(sums + self.bias, list(block.destinations.values())), strict=True))
        if self.self_loop is not None:
            for node_type, count in block.destinations.items():
                computed[node_type] = computed[node_type] + nodes[node_type][:count] @ self.self_loop
        for edge_type, features in block.edge_features.items():
            if self.edge_matrices is not None and edge_type in self._edge_index:
                i, adjacency = self._edge_index[edge_type], block.adjacencies[edge_type]
                hidden = torch.relu(self.edge_inputs[i](features.dense, features.hot))
                message = mean(hidden, adjacency.of_edges()) @ self.edge_matrices[i]
                computed[edge_type.destination] = computed[edge_type.destination].index_add(0, adjacency.rows, message)
        return computed


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
