"""Writing a model that is divided among workers into one file, without any of them having it as a whole."""

import struct
from pathlib import Path

import msgspec
import torch

from despina.learn.kge import KnowledgeGraphEmbedding
from despina.learn.shards import Shard

ROWS = 1 << 16
"""Of the table, sent at a time."""


def collect(model: KnowledgeGraphEmbedding, shard: Shard, entities: int, path: Path | None) -> None:
    """Write the file that ``checkpoint.save`` would write of the whole model. All workers have to call it.

    Args:
        model: This worker's, whose table has the rows of its shard.
        shard: Which those are.
        entities: Rows of the whole table.
        path: Of the file, at the first worker; None at the others, which send it their rows.
    """
    width, table = model.entities.shape[1], model.entities.detach()
    file = path.open("wb") if path else None
    if file:
        file.write(_header({"entities": (entities, width), "relations": tuple(model.relations.shape)}))
    for rank in range(shard.workers.count):
        part = slice(entities * rank // shard.workers.count, entities * (rank + 1) // shard.workers.count)
        for start in range(part.start, part.stop, ROWS):
            stop = min(start + ROWS, part.stop)
            mine = rank == shard.workers.rank
            rows = table[start - shard.start:stop - shard.start].contiguous() if mine else torch.empty(stop - start, width)
            shard.workers.spread(rows, of=rank)
            if file:
                file.write(rows.numpy().tobytes())
    if file:
        file.write(model.relations.detach().numpy().tobytes())
        file.close()


def _header(shapes: dict[str, tuple[int, ...]]) -> bytes:
    """The beginning of a safetensors file of tensors of 32-bit numbers, which follow in this order.

    Source: github.com/huggingface/safetensors, "Format": eight bytes with the length of a JSON object, and the object, padded so
    that the numbers are aligned.
    """
    tensors, at = dict[str, object](), 0
    for name, shape in shapes.items():
        size = 4 * torch.Size(shape).numel()
        tensors[name] = {"dtype": "F32", "shape": shape, "data_offsets": (at, at + size)}
        at += size
    text = msgspec.json.encode(tensors)
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
