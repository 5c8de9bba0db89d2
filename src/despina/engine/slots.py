"""How the machine is shared out. Pure arithmetic: no clock, no process, no file."""

from collections.abc import Sequence

import msgspec

from despina.core.frozen import Frozen


class Slots(Frozen, frozen=True, kw_only=True):
    """Cores and memory: those of the machine, or those granted to one run."""

    cores: int
    memory_mib: int


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a run asks for: the two fields of a ``RunSpec`` that matter here. Read from a spec of any version of Despina."""

    share: int = 1
    memory_mib: int = 0


def grant(machine: Slots, taken: Sequence[Slots], needs: Needs) -> Slots | None:
    """What a run may have while others have ``taken`` theirs, or None while it does not fit.

    It gets ``1 / share`` of the machine's cores or the fewer that are free, at least one. A run that needs more memory than the
    machine has is granted all of it, and so runs alone.
    """
    free_cores = machine.cores - sum(slots.cores for slots in taken)
    free_memory = machine.memory_mib - sum(slots.memory_mib for slots in taken)
    memory = min(max(1, needs.memory_mib), machine.memory_mib)
    if free_cores < 1 or memory > free_memory:
        return None
    return Slots(cores=min(free_cores, max(1, machine.cores // max(1, needs.share))), memory_mib=memory)
