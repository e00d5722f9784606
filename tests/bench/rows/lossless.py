"""Without a loss: the highest UDP rate, found by search; real shapes faster than real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.measure import Result
from tests.bench.receivers import emu_recv, measure, sender
from tests.bench.rows.receive import COPY, theirs
from tests.bench.shapes import DISHES_64, SKA_LOW_SHARE, STANDARD

if TYPE_CHECKING:
    from tests.bench.measure import Settings
    from tests.bench.shapes import Shape

LOWEST_PART = 0.1
STEP_DOWN = 0.93
POOL_BYTES = 1 << 30
"""For what waits while a set is created."""
TIMES_REAL = 2.0
REAL_DUMPS = 20


def is_lossless(
    settings: Settings, shape: Shape, consumer: str, rate: float, seconds: float
) -> bool:
    """Receive at a rate; return whether every heap came and every dump was taken."""
    receiver = emu_recv(settings, shape, "udp", consumer, {"reception.buffer_memory": POOL_BYTES})
    receiver.wait_until_idle()
    replay = sender(shape, receiver, "udp")
    replay.start()
    taken = measure(receiver, replay, seconds, rate)
    replay.end()
    replay.close()
    summary = receiver.summary()
    # A sender that could not keep the rate has shown nothing.
    return not summary["lost"] and taken.lost == 0 and taken.rate > 0.97 * rate


def highest(settings: Settings, consumer: str, limit: float) -> float:
    """Return the highest rate without a loss, every confirmation of it being one."""
    low, high = LOWEST_PART * limit, limit
    for _ in range(settings.search_steps):
        middle = (low * high) ** 0.5
        if is_lossless(settings, STANDARD, consumer, middle, settings.search_seconds):
            low = middle
        else:
            high = middle
    rate = low
    while rate > LOWEST_PART * limit / 2:
        if all(
            is_lossless(settings, STANDARD, consumer, rate, settings.search_seconds)
            for _ in range(settings.confirmations)
        ):
            return rate
        rate *= STEP_DOWN
    return rate


def loss_free(settings: Settings) -> list[Result]:
    """The highest rate to a set over that to nothing."""
    limit = theirs(settings, COPY, STANDARD, "udp", 0.0)[0].rate
    null = highest(settings, "null", limit)
    to_set = highest(settings, "mswriter", min(limit, null * 1.1))
    note = f"{settings.search_seconds:g} s, {settings.confirmations} of {settings.confirmations}"
    return [
        Result(
            "loss-free", "highest UDP rate to a set / to nothing", ">= 0.8", (to_set / null,),
            to_set / 1e6, null / 1e6, "MB/s", note,
        )
    ]  # fmt: skip


def real_time(settings: Settings) -> list[Result]:
    """Dumps of real telescopes, faster and faster until something is lost."""
    results = []
    dumps = 4 if settings.quick else REAL_DUMPS
    for name, shape in (("SKA-Low, one receiver's share", SKA_LOW_SHARE), ("64 dishes", DISHES_64)):
        real = shape.dump_bytes / shape.interval_s
        times, reached = TIMES_REAL * 2, 0.0
        while times > 0.4:
            seconds = dumps * shape.interval_s / times
            if is_lossless(settings, shape, "mswriter", times * real, seconds):
                reached = times
                break
            times /= 2**0.5
        what = f"{name} to a set over UDP / real time"
        results.append(
            Result(
                "real-time", what, ">= 2.0", (reached,), reached * real / 1e6, real / 1e6, "MB/s",
                f"{dumps} dumps; no faster than {TIMES_REAL * 2:g} times was tried",
            )
        )  # fmt: skip
    return results
