"""Freed memory that stays with the process, because fresh memory is slow."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Have glibc use the memory of freed tensors again, where it would give it back to the kernel.

    A training step frees as much as it allocates. By default glibc maps every block of more than 32 MB
    anew, and the kernel clears it page by page at the first touch, which takes as long as a pass over it
    or longer (docs/benchmarks, speed of PLE). The process then holds its peak memory to its end. For
    programs of their own, as training ranks are; with another C library than glibc it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
