"""Adding up the gradients of several workers.

``torch.nn.parallel.DistributedDataParallel`` is not used. It wraps the forward pass of one module, whereas a step of ours also asks
the decoder; it makes sparse gradients, by which a batch costs what it reads, meet one by one; and it takes a parameter that no
worker used for one whose gradient is zero, which momentum would move. What it does otherwise is done here: gradients are summed
in one buffer.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from despina.learn.workers import Workers


def add_up(workers: Workers, parameters: Sequence[Tensor]) -> None:
    """Make the gradient of each parameter the sum of all workers' gradients; of a parameter that none has one for it stays None."""
    if workers.count == 1:
        return
    rows = torch.zeros(len(parameters), 1 + workers.count, dtype=torch.int64)
    """Whether a worker has a dense gradient, and how many rows each worker's sparse one has."""
    for row, parameter in zip(rows, parameters, strict=True):
        gradient = parameter.grad
        if gradient is None:
            continue
        if gradient.is_sparse:
            parameter.grad = gradient.coalesce()
            row[1 + workers.rank] = parameter.grad.indices().shape[1]
        else:
            row[0] = 1
    workers.sum(rows)
    dense = [parameter for row, parameter in zip(rows, parameters, strict=True) if row[0]]
    sparse = [(parameter, row[1:].tolist()) for row, parameter in zip(rows, parameters, strict=True)
              if not row[0] and row[1:].any()]
    if dense:
        _add_up_dense(workers, dense)
    if sparse:
        _add_up_sparse(workers, sparse)


def _add_up_dense(workers: Workers, parameters: list[Tensor]) -> None:
    buffer = torch.cat([_dense(parameter).flatten() for parameter in parameters])
    workers.sum(buffer)
    sizes = [parameter.numel() for parameter in parameters]
    for parameter, part in zip(parameters, torch.split(buffer, sizes), strict=True):
        parameter.grad = part.view_as(parameter)


def _dense(parameter: Tensor) -> Tensor:
    gradient = parameter.grad
    if gradient is None:
        return torch.zeros_like(parameter, requires_grad=False)
    return gradient.to_dense() if gradient.is_sparse else gradient


def _add_up_sparse(workers: Workers, parameters: list[tuple[Tensor, list[int]]]) -> None:
    """Each worker gets the rows of all, in the order of their ranks, so that all add them up in the same order."""
    own = [parameter.grad for parameter, counts in parameters if counts[workers.rank] and parameter.grad is not None]
    rows = [[counts[rank] for _, counts in parameters] for rank in range(workers.count)]
    numbers = [[counts[rank] * parameter.shape[1] for parameter, counts in parameters] for rank in range(workers.count)]
    ids = _gathered(workers, [gradient.indices()[0] for gradient in own], torch.int64, rows)
    values = _gathered(workers, [gradient.values().flatten() for gradient in own], parameters[0][0].dtype, numbers)
    for i, (parameter, _) in enumerate(parameters):
        vectors = torch.cat([parts[i] for parts in values]).view(-1, parameter.shape[1])
        parameter.grad = torch.sparse_coo_tensor(torch.cat([parts[i] for parts in ids])[None], vectors, parameter.shape,
                                                 check_invariants=False)


def _gathered(workers: Workers, own: list[Tensor], dtype: torch.dtype, lengths: list[list[int]]) -> list[tuple[Tensor, ...]]:
    """Of each worker the parts of these lengths, one a parameter. Gloo gathers what is equally long only."""
    room = torch.zeros(max(map(sum, lengths)), dtype=dtype)
    mine = torch.cat(own) if own else room[:0]
    room[:len(mine)] = mine
    return [torch.split(found[:sum(parts)], parts) for found, parts in zip(workers.gather(room), lengths, strict=True)]
