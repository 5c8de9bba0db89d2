"""For test suites of those whose code speaks to Neptune ML: a server of their own that trains for real.

::

    plugin.py   the pytest fixtures (entry point ``pytest11``); loaded by every run of pytest where Despina is installed
    server.py   ``Despina``: the server as a test sees it, and the environment in which boto3 finds it
    keeper.py   a program of its own: serves for as long as the process that started it lives, and leaves nothing behind
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from despina.testing.server import Despina

__all__ = ["Despina"]


def __getattr__(name: str) -> object:
    # Not loaded before somebody asks: the plugin is imported by test runs that have nothing to do with Despina.
    if name != "Despina":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from despina.testing.server import Despina

    return Despina
