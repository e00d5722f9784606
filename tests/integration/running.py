"""A receiver at work in this process, on real sockets whose ports the system chose."""

from __future__ import annotations

import fcntl
import json
import struct
import termios
import threading
from typing import TYPE_CHECKING, Any

from receive.command.stop import StopRequest
from receive.config import Config
from receive.run.plan import Plan
from receive.run.receiver import Receiver
from receive.stream.table.shared_types import REPEATED_START_MS
from tests.integration.recorder import Recorder
from tests.integration.view import View
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from receive.account.outcome import Outcome
    from tests.integration.senders import Observation

PATIENCE_S = 30.0
DEFAULTS = {
    "reception.bind_hostname": "127.0.0.1",
    "reception.port_start": 0,
    "reception.buffer_size": 4 << 20,
    "reception.buffer_memory": 16 << 20,
    "reception.consumer": "tests.integration.recorder.Recorder",
}


class Running:
    """A receiver in a thread of its own."""

    def __init__(self, observation: Observation, folder: Path, options: dict[str, Any]) -> None:
        given = {**DEFAULTS, "transmission.channels_per_stream": observation.per_stream}
        self.config = Config.from_mapping({**given, **options})
        self.plan = Plan.make(self.config, observation.model)
        self.stop = StopRequest()
        self._receiver = Receiver(self.config, self.plan, self.stop)
        self.view = View(self._receiver)
        self._ready_file = folder / f"ready-{id(self)}.json"
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None
        made = len(Recorder.made)
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)
        self._thread.start()
        wait_until(lambda: self._ready_file.exists() or not self._thread.is_alive(), "ready")
        self.recorders: list[Any] = Recorder.made[made:]
        self.ports: list[int] = []
        if self._ready_file.exists():
            self.ports = json.loads(self._ready_file.read_text())["ports"]

    def _run(self) -> None:
        try:
            self._outcome = self._receiver.run([self._ready_file])
        except BaseException as error:  # noqa: BLE001 -- shown to the test
            self._error = error

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def recorder(self) -> Any:
        return self.recorders[0]

    def refused(self, reason: int) -> int:
        return int(self.view.counters[:, reason].sum())

    def drain(self) -> None:
        """Wait until the kernel holds no datagram for the receiver."""
        for opened in self.view.sockets:
            wait_until(lambda opened=opened: not _waiting_bytes(opened), "drained")

    def look_twice(self) -> None:
        """Wait until the collector has looked at everything that has come so far."""
        for _ in range(2):
            before_ms = self.view.now_ms
            wait_until(lambda before_ms=before_ms: self.view.now_ms != before_ms, "next look")

    def settle(self) -> None:
        """Wait until nothing that came so far can be taken for the next sender's."""
        wait_until(self._is_decided, "all was handed on, or refused")
        later_ms = self.view.now_ms + REPEATED_START_MS
        wait_until(lambda: self.view.now_ms > later_ms, "a start heap is a new one")

    def _is_decided(self) -> bool:
        """Whether nothing waits but what may be the first of a sender that takes its time."""
        return self.view.waiting_epochs in ([], [self.view.settled_epoch])

    def finish(self, timeout_s: float = PATIENCE_S) -> Outcome:
        """Wait for its end."""
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), "the receiver did not end"
        if self._error is not None:
            raise self._error
        assert self._outcome is not None
        return self._outcome

    def end(self) -> Outcome:
        """Tell it to stop, as a signal does."""
        self.stop.set()
        return self.finish()

    def abandon(self) -> None:
        for made in self.recorders:
            made.gate.set()
        self.stop.set()
        self._thread.join(PATIENCE_S)


def _waiting_bytes(opened: Any) -> int:
    answer = fcntl.ioctl(opened.fileno(), termios.FIONREAD, b"\0" * 4)
    return int(struct.unpack("i", answer)[0])
