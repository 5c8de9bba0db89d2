"""How the machine is shared out. Pure arithmetic: no clock, no process, no file."""

from collections.abc import Sequence

import msgspec

from despina.core.frozen import Recorded


class Slots(Recorded, frozen=True, kw_only=True):
    """Cores and memory: those of the machine, or those granted to one run."""

    cores: int
    memory_mib: int


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a run asks for: the fields of a ``RunSpec`` that matter here. Read from a spec of any version of Despina."""

    share: int = 1
    memory_mib: int = 0
    version: int = 1


def grant(machine: Slots, taken: Sequence[Slots], needs: Needs) -> Slots | None:
    """What a run may have while others have ``taken`` theirs, or None while it does not fit.

    It gets ``1 / share`` of the machine's cores or the fewer that are free, at least one. A run that needs more memory than the
    machine has beside its services is granted all of that, and so runs alone. A service (``share`` 0) gets no core, and always what
    memory it needs: it must not wait for hours until a training ends, and trainings not for it, which has no end.
    """
    services = sum(slots.memory_mib for slots in taken if slots.cores == 0)
    if needs.share == 0:
        return Slots(cores=0, memory_mib=max(1, needs.memory_mib))
    free_cores = machine.cores - sum(slots.cores for slots in taken)
    room = max(1, machine.memory_mib - services)
    free_memory = room - sum(slots.memory_mib for slots in taken if slots.cores)
    memory = min(max(1, needs.memory_mib), room)
    if free_cores < 1 or memory > free_memory:
        return None
    return Slots(cores=min(free_cores, max(1, machine.cores // needs.share)), memory_mib=memory)


def ask(nodes: Sequence[Slots], needs: Needs) -> Slots:
    """What to ask of a cluster for a run: ``1 / share`` of all its cores, at least one, and no more than one node has.

    No more than the smallest node has, so that any node will do; nodes that have not the memory which the run needs do not count. A
    run that needs more memory than any node has asks for all that the largest has. Without nodes (they may be started when they are
    needed) it asks for one core.
    """
    largest = max((node.memory_mib for node in nodes), default=needs.memory_mib)
    memory = max(1, min(needs.memory_mib, largest))
    fitting = [node.cores for node in nodes if node.memory_mib >= memory]
    part = sum(node.cores for node in nodes) // max(1, needs.share)
    return Slots(cores=max(1, min([part, *fitting])), memory_mib=memory)
