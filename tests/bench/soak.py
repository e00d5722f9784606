"""Ten minutes at full rate: the memory above the pool stays small and flat."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from tests.bench.measure import resident_bytes
from tests.bench.receivers import POOL_BYTES, emu_recv, sender
from tests.bench.shapes import STANDARD

if TYPE_CHECKING:
    from tests.bench.measure import Settings

LIMIT_BYTES = 300_000_000
FLAT_BYTES = 10_000_000
LOOKS = 60


def main(settings: Settings, seconds: float) -> int:
    """Run; return 0 if the memory is within its bounds."""
    receiver = emu_recv(settings, STANDARD, "tcp")
    replay = sender(STANDARD, receiver, "tcp")
    replay.start()
    above = []
    began_s = time.monotonic()
    sent = 0
    for look in range(LOOKS):
        sent += replay.run(seconds / LOOKS).heap_bytes
        above.append(resident_bytes(receiver.process.pid) - POOL_BYTES)
        if look % 6 == 0:
            sys.stdout.write(f"{time.monotonic() - began_s:5.0f} s: {above[-1] / 1e6:.1f} MB\n")
    replay.end()
    replay.close()
    receiver.summary()
    later = np.array(above[LOOKS // 2 :])
    # Of a straight line through the second half.
    growth = float(np.polyfit(np.arange(len(later)), later, 1)[0]) * len(later)
    good = max(above) <= LIMIT_BYTES and growth <= FLAT_BYTES
    sys.stdout.write(
        f"{sent / 1e9:.1f} GB: at most {max(above) / 1e6:.1f} MB above the pool of "
        f"{POOL_BYTES / 1e6:.0f} MB (<= {LIMIT_BYTES / 1e6:.0f}), growth in the second half "
        f"{growth / 1e6:.1f} MB (<= {FLAT_BYTES / 1e6:.0f}): {'good' if good else 'NOT GOOD'}\n"
    )
    return 0 if good else 1
