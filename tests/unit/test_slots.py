"""How the machine is shared out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from despina.engine.machine import this_machine
from despina.engine.slots import Needs, Slots, ask, grant

MACHINE = Slots(cores=8, memory_mib=1000)
machines = st.builds(Slots, cores=st.integers(1, 64), memory_mib=st.integers(1, 10_000))
needs = st.builds(Needs, share=st.integers(1, 100), memory_mib=st.integers(0, 20_000))


@given(machines, st.lists(needs, max_size=30))
def test_no_sequence_of_grants_exceeds_the_machine(machine: Slots, asked: list[Needs]) -> None:
    taken: list[Slots] = []
    for wish in asked:
        slots = grant(machine, taken, wish)
        if slots is not None:
            assert slots.cores >= 1
            assert slots.memory_mib >= min(wish.memory_mib, machine.memory_mib)
            taken.append(slots)
    assert sum(slots.cores for slots in taken) <= machine.cores
    assert sum(slots.memory_mib for slots in taken) <= machine.memory_mib


@given(machines, needs)
def test_an_idle_machine_takes_any_run(machine: Slots, wish: Needs) -> None:
    assert grant(machine, [], wish) is not None


@given(machines, needs, needs)
def test_a_run_that_needs_more_than_the_machine_has_runs_alone(machine: Slots, big: Needs, other: Needs) -> None:
    alone = grant(machine, [], Needs(share=big.share, memory_mib=machine.memory_mib + big.memory_mib))
    assert alone is not None
    assert grant(machine, [alone], other) is None
    beside = grant(machine, [], other)
    assert beside is not None
    assert grant(machine, [beside], Needs(share=big.share, memory_mib=machine.memory_mib + big.memory_mib)) is None


def test_a_share_is_that_part_of_the_cores_or_what_is_free() -> None:
    assert grant(MACHINE, [], Needs(share=1, memory_mib=10)) == Slots(cores=8, memory_mib=10)
    assert grant(MACHINE, [], Needs(share=3, memory_mib=10)) == Slots(cores=2, memory_mib=10)
    assert grant(MACHINE, [], Needs(share=100, memory_mib=10)) == Slots(cores=1, memory_mib=10)
    assert grant(MACHINE, [Slots(cores=5, memory_mib=0)], Needs(share=2, memory_mib=10)) == Slots(cores=3, memory_mib=10)


def test_nothing_is_granted_while_cores_or_memory_are_short() -> None:
    assert grant(MACHINE, [Slots(cores=8, memory_mib=1)], Needs(share=8, memory_mib=1)) is None
    assert grant(MACHINE, [Slots(cores=1, memory_mib=600)], Needs(share=8, memory_mib=401)) is None
    assert grant(MACHINE, [Slots(cores=1, memory_mib=600)], Needs(share=8, memory_mib=400)) is not None


def test_a_machine_that_has_shrunk_grants_nothing_until_enough_is_given_back() -> None:
    assert grant(Slots(cores=2, memory_mib=1000), [Slots(cores=4, memory_mib=10)], Needs(share=1, memory_mib=1)) is None


@given(machines, st.lists(needs, max_size=10), needs)
def test_a_service_is_always_let_in_and_takes_no_core(machine: Slots, asked: list[Needs], service: Needs) -> None:
    taken: list[Slots] = []
    for wish in asked:
        slots = grant(machine, taken, wish)
        taken += [slots] if slots else []
    own = grant(machine, taken, Needs(share=0, memory_mib=service.memory_mib))
    assert own == Slots(cores=0, memory_mib=max(1, service.memory_mib))


@given(machines, st.lists(needs, max_size=5), needs)
def test_beside_services_alone_any_run_is_let_in(machine: Slots, services: list[Needs], wish: Needs) -> None:
    taken = [Slots(cores=0, memory_mib=max(1, service.memory_mib)) for service in services]
    slots = grant(machine, taken, wish)
    assert slots is not None, "services have no end: nothing may wait for one"
    assert grant(machine, [*taken, slots], Needs(share=1, memory_mib=machine.memory_mib)) is None


def test_services_leave_others_less_memory() -> None:
    service = Slots(cores=0, memory_mib=300)
    assert grant(MACHINE, [service], Needs(share=1, memory_mib=700)) == Slots(cores=8, memory_mib=700)
    assert grant(MACHINE, [service, Slots(cores=1, memory_mib=400)], Needs(share=8, memory_mib=301)) is None
    assert grant(MACHINE, [service], Needs(share=8, memory_mib=900)) == Slots(cores=1, memory_mib=700)


@given(st.lists(machines, max_size=6), needs)
def test_what_is_asked_of_a_cluster_is_on_some_node(nodes: list[Slots], wish: Needs) -> None:
    asked = ask(nodes, wish)
    assert asked.cores >= 1
    assert asked.memory_mib >= 1
    if nodes:
        assert any(node.cores >= asked.cores and node.memory_mib >= asked.memory_mib for node in nodes)
        largest = max(node.memory_mib for node in nodes)
        assert asked.memory_mib == max(1, min(wish.memory_mib, largest))


@pytest.mark.parametrize(("nodes", "share", "cores"), [
    ([8, 8, 8, 8], 1, 8), ([8, 8, 8, 8], 4, 8), ([8, 8, 8, 8], 8, 4), ([8, 8, 8, 8], 64, 1), ([1, 1], 2, 1), ([4, 16], 1, 4),
    ([], 1, 1),
])
def test_a_run_asks_for_its_share_of_the_cluster_and_no_more_than_a_node_has(nodes: list[int], share: int, cores: int) -> None:
    cluster = [Slots(cores=has, memory_mib=1000) for has in nodes]
    assert ask(cluster, Needs(share=share, memory_mib=500)) == Slots(cores=cores, memory_mib=500)


def test_nodes_without_the_memory_do_not_count() -> None:
    cluster = [Slots(cores=2, memory_mib=1000), Slots(cores=8, memory_mib=4000)]
    assert ask(cluster, Needs(share=1, memory_mib=500)) == Slots(cores=2, memory_mib=500)
    assert ask(cluster, Needs(share=1, memory_mib=2000)) == Slots(cores=8, memory_mib=2000)
    assert ask(cluster, Needs(share=1, memory_mib=9000)) == Slots(cores=8, memory_mib=4000)


def test_this_machine_has_cores_and_memory() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert 1 <= machine.memory_mib < 2**30
