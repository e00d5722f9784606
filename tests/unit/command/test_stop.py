"""A run can be asked to end from a signal handler, at any moment."""

from __future__ import annotations

import signal

from receive.command.stop import StopRequest

TIMES = 3000


def test_a_signal_at_any_moment_of_the_wait_ends_it() -> None:
    """With a `threading.Event` this hangs within a few thousand signals."""
    requests = iter([StopRequest() for _ in range(TIMES)])
    current = next(requests)
    old = signal.signal(signal.SIGALRM, lambda *_: current.set())
    try:
        for request in requests:
            current = request
            signal.setitimer(signal.ITIMER_REAL, 1e-5)
            while not request.wait(1e-4):
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def test_it_waits_no_longer_than_asked() -> None:
    request = StopRequest()
    assert not request.wait(0.0)
    request.set()
    assert request.wait(1e9)
    request.clear()
    assert not request.is_set()
