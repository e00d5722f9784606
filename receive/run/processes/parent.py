"""Ties a receiver process to its parent: it must not outlive it."""

from __future__ import annotations

import ctypes
import os
import signal

_SET_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def end_with(parent: int) -> None:
    """Make the kernel send SIGTERM to this process when its parent, a process id, has ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_DEATH_SIGNAL, ctypes.c_ulong(signal.SIGTERM)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "prctl")
    if os.getppid() != parent:
        # The parent ended before the prctl call.
        os.kill(os.getpid(), signal.SIGTERM)
