"""A process that ends when its parent ends, for whatever reason."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to kill this process as soon as its parent dies, also by kill -9.

    Use it as `preexec_fn` of subprocess.Popen and as the first call of a program. The parent is the
    *thread* that started this process: start it from one that lives as long as the work. Linux only;
    elsewhere it does nothing, and children of a killed launcher run to their end.

    Args:
        parent: process id of the parent, where it is known: closes the gap between fork and this call,
            in which a dying parent sends no signal.

    Raises:
        OSError: the kernel refused.
        SystemExit: the parent is gone already.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent is not None and os.getppid() != parent:
        raise SystemExit("the launcher is gone; nothing was trained")
