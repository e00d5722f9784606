"""The receiver that belongs to another process: it must not outlive it."""

from __future__ import annotations

import ctypes
import os
import signal

_SET_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def end_with(parent: int) -> None:
    """Have this process told to stop (SIGTERM) when its parent is gone, however that ended.

    Parameters
    ----------
    parent
        The parent's process id.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_DEATH_SIGNAL, ctypes.c_ulong(signal.SIGTERM)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "prctl")
    if os.getppid() != parent:
        # It ended before it could be asked for.
        os.kill(os.getpid(), signal.SIGTERM)
