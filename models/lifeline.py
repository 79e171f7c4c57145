"""A process that ends when the one that started it ends, however that ended."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Ask the kernel to kill this process as soon as its parent dies, also by kill -9.

    Good as `preexec_fn` of subprocess.Popen and as the first call of a program. Linux only: elsewhere
    it does nothing, and a launcher that is killed leaves its children to end by themselves.

    Raises:
        OSError: the kernel refused.
        SystemExit: the parent died before this call.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() == 1:  # orphaned between fork and prctl: nobody will send the signal
        raise SystemExit("the launcher is gone; nothing was trained")
