"""What a receiver process prints, line by line, with its name in front."""

from __future__ import annotations

import codecs
import os
from typing import IO

_READ_BYTES = 1 << 16


class PrefixedLines:
    """The lines that come out of a pipe.

    Parameters
    ----------
    pipe
        What is read from; made non-blocking.
    prefix
        Put before every line.
    """

    def __init__(self, pipe: IO[bytes], prefix: str) -> None:
        self._pipe = pipe
        self._prefix = prefix
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        os.set_blocking(pipe.fileno(), False)

    def fileno(self) -> int:
        """Return the pipe's descriptor."""
        return self._pipe.fileno()

    def read(self) -> tuple[list[str], bool]:
        """Return the lines that have come, and whether there may be more some time."""
        try:
            content = os.read(self._pipe.fileno(), _READ_BYTES)
        except BlockingIOError:
            return [], True
        *lines, self._rest = (self._rest + self._decoder.decode(content)).split("\n")
        if not content and self._rest:
            lines.append(self._rest)
            self._rest = ""
        return [f"{self._prefix}{line}" for line in lines], bool(content)

    def close(self) -> None:
        """Close the pipe."""
        self._pipe.close()
