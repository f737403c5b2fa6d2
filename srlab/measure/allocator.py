"""Memory that a process keeps: one condition for every measurement, and a gift to whoever computes on a CPU.

By default glibc gives large blocks back to the system as soon as they are free, and the next operation pays for each
page anew. A formula that holds its scores pays the most, so that "faster" would partly mean "asks for less memory". A
process that keeps its memory pays once, as with a GPU's allocator or jemalloc.
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Literal

Setting = Literal["kept", "default", "own", "not glibc"]

#: Parameters of mallopt(3): the size at which the heap's free end is given back (−1: never), and the number of blocks
#: outside the heap (0: none).
TRIM_THRESHOLD, MMAP_MAX = -1, -4
#: A user's own settings of the same.
OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")

_done: set[str] = set()


def keep_memory() -> None:
    """Let this process keep the memory that it frees, from now on.

    Another C library, another allocator (LD_PRELOAD) and a user's own setting (`OWN`, GLIBC_TUNABLES) stay as they are.
    """
    if allocator_setting() == "default":
        libc = ctypes.CDLL(None)
        if libc.mallopt(TRIM_THRESHOLD, -1) and libc.mallopt(MMAP_MAX, 0):
            _done.add("kept")


def allocator_setting() -> Setting:
    """Name how this process allocates on the CPU: with memory "kept", by glibc's "default", or by neither."""
    if platform.libc_ver()[0] != "glibc" or "malloc" in os.environ.get("LD_PRELOAD", ""):
        return "not glibc"
    if "malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(name in os.environ for name in OWN):
        return "own"
    return "kept" if _done else "default"
