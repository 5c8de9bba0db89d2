"""How this process gets its memory from the system."""

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Of mallopt(3), ``malloc.h``."""
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Have malloc keep what is freed, for the next who asks, rather than give it back to the system; and ask for huge pages.

    To be called before torch is imported.

    Each step of a training makes and drops the same large temporaries; given back, every page of them is faulted in and zeroed
    anew. The process stays as large as it ever was. Does nothing where the C library is not glibc. ``bench/rgcn.py`` measures it.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch's own switch: large tensors lie on huge pages
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, _NEVER)
