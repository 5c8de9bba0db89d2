"""Ports for servers that die and come back to them."""

import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from random import SystemRandom

LOWEST = 10_000


def lasting_ports(count: int) -> list[int]:
    """Free ports of loopback that the kernel gives to nobody who asks for any port, nor to outgoing connections.

    One of those could be somebody else's by the time that its server comes back.
    """
    lowest_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    found: list[int] = []
    with ExitStack() as stack:
        for port in SystemRandom().sample(range(LOWEST, lowest_given), lowest_given - LOWEST):
            with suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
            if len(found) == count:
                return found
    raise AssertionError(f"there are not {count} free ports from {LOWEST} to {lowest_given}")
