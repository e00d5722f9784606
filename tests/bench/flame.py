"""A flame graph of a receiver at work: ``python -m tests.bench.flame null|mswriter udp|tcp FILE``.

Samples are perf's, kernel included; Python's own functions appear as the interpreter's.
"""

from __future__ import annotations

import html
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.bench.measure import Settings, cores
from tests.bench.receivers import Receiver, emu_recv, sender
from tests.bench.shapes import STANDARD

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS = 5.0
HERTZ = 499
RATE = {"udp": 400e6, "tcp": 0.0}
WIDTH, ROW, LEAST = 1200, 17, 0.002
_FRAME = re.compile(r"\s+[0-9a-f]+ (.*) \((.*)\)$")
_ADDRESS = re.compile(r"\+0x[0-9a-f]+$")


@dataclass
class Frame:
    """A function with all that it called."""

    samples: int = 0
    callees: dict[str, Frame] = field(default_factory=dict)

    def add(self, stack: Iterable[str]) -> None:
        """Count a sample with this stack, outermost first."""
        self.samples += 1
        frame = self
        for name in stack:
            frame = frame.callees.setdefault(name, Frame())
            frame.samples += 1

    @property
    def depth(self) -> int:
        return 1 + max((callee.depth for callee in self.callees.values()), default=0)


def read(script: str) -> Frame:
    """Return the tree of what ``perf script`` printed."""
    root = Frame()
    for sample in script.split("\n\n"):
        stack = []
        for line in sample.splitlines()[1:]:
            if found := _FRAME.match(line):
                name = _ADDRESS.sub("", found[1])
                stack.append(name if name != "[unknown]" else f"[{Path(found[2]).name}]")
        if stack:
            root.add(_squeezed(stack[::-1]))
    return root


def _squeezed(stack: list[str]) -> list[str]:
    """Leave out the interpreter's calls of itself, which would be all of the picture."""
    inner = max(
        (n for n, name in enumerate(stack) if name.startswith(("_PyEval", "PyEval"))), default=0
    )
    return ["Python", *stack[inner + 1 :]] if inner else stack


def svg(root: Frame, title: str) -> str:
    """Draw the tree."""
    boxes: list[str] = []
    height = (root.depth + 1) * ROW + 8

    def draw(frame: Frame, name: str, left: float, level: int) -> None:
        width = frame.samples / root.samples * WIDTH
        top = height - (level + 1) * ROW
        part = 100 * frame.samples / root.samples
        colour = f"#ff{170 + sum(map(ord, name)) % 60:02x}66"
        text = name if len(name) < width / 6.5 else name[: max(0, int(width / 6.5) - 1)]
        boxes.append(
            f'<g><title>{html.escape(name)}: {part:.1f} %</title><rect x="{left:.1f}" y="{top}" '
            f'width="{width:.1f}" height="{ROW - 1}" fill="{colour}"/>'
            f'<text x="{left + 2:.1f}" y="{top + 12}">{html.escape(text)}</text></g>'
        )
        for callee, inner in sorted(frame.callees.items()):
            if inner.samples / root.samples >= LEAST:
                draw(inner, callee, left, level + 1)
            left += inner.samples / root.samples * WIDTH

    draw(root, title, 0.0, 0)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="monospace" font-size="11">{"".join(boxes)}</svg>\n'
    )


def _sampled(receiver: Receiver, transport: str, data: Path) -> str:
    replay = sender(STANDARD, receiver, transport)
    replay.start()
    replay.run(2.0, RATE[transport])
    perf = subprocess.Popen(
        ["perf", "record", "-q", "-F", str(HERTZ), "--call-graph", "dwarf,16384",
         "-p", str(receiver.process.pid), "-o", str(data)],
    )  # fmt: skip
    replay.run(SECONDS, RATE[transport])
    perf.send_signal(signal.SIGINT)
    perf.wait()
    replay.end()
    replay.close()
    receiver.summary()
    command = ["perf", "script", "-i", str(data), "-F", "comm,tid,time,ip,sym,dso"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> int:
    consumer, transport, output = sys.argv[1:]
    if shutil.which("perf") is None:
        sys.stderr.write("perf is not installed (Debian: linux-perf)\n")
        return 2
    cores()
    with TemporaryDirectory(prefix="flame-") as work:
        receiver = emu_recv(Settings(Path(work)), STANDARD, transport, consumer)
        root = read(_sampled(receiver, transport, Path(work) / "perf.data"))
    Path(output).write_text(svg(root, f"emu-recv, {consumer}, {transport.upper()}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
