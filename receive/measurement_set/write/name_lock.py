"""One lock for each output's name: whoever writes sets of that name holds it.

It is a file beside the sets, ``.NAME.lock``, which stays when a set is replaced.  The kernel gives
the lock back when its holder dies, so that it tells who lives, as numbers of processes do not:
they come again, and containers share them.  ``vis.ms`` stands for all that a receiver makes of it,
``vis-s1.ms`` and ``vis-s1-p2.ms``: whoever writes one of those by its own name shares the lock of
``vis.ms``.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from receive.command.errors import OutputError
from receive.measurement_set.write.growing import output_error

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE_S = 0.5
"""Whoever only looks whether a lock is held has it for a moment, as has one that just ends."""
_LOOK_EVERY_S = 0.01
_PARTS = (re.compile(r"-p[1-9][0-9]*$"), re.compile(r"-s[1-9][0-9]*(-p[1-9][0-9]*)?$"))
_MOST_BYTES = 4096


class NameLock:
    """The lock of a name, held from now on; `release` it, or use it as a context manager.

    Parameters
    ----------
    path
        The set that has the name, which need not exist; its folder must.

    Raises
    ------
    OutputError
        If somebody else holds it, or its file system has no locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))
        self._held: list[tuple[int, Path]] = []
        self.renew()

    def renew(self) -> None:
        """Take it again if its file is no longer where it was, as when the folder was replaced.

        Raises
        ------
        OutputError
            As at first.
        """
        if self._held and all(_is_at(descriptor, file) for descriptor, file in self._held):
            return
        self.release()
        try:
            for file in _whole_files(self.path):
                self._held.append((_take(file, fcntl.LOCK_SH, self.path), file))
            own = _file(self.path)
            self._held.append((_take(own, fcntl.LOCK_EX, self.path), own))
        except OutputError:
            self.release()
            raise

    def release(self) -> None:
        """Give it back."""
        while self._held:
            descriptor, file = self._held.pop()
            # Others may share it.  Whoever has opened the file looks whether it is still there.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, file):
                    file.unlink()
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def held_by(path: Path) -> str | None:
    """Return in one line who holds a name, None if nobody does; nothing is made."""
    path = Path(os.path.realpath(path))
    shared = [(file, fcntl.LOCK_SH) for file in _whole_files(path)]
    for file, kind in (*shared, (_file(path), fcntl.LOCK_EX)):
        # Nobody has made it; or who may not open it, or lock it, is told so where it is taken.
        with suppress(OSError):
            descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
            try:
                if not _lock(descriptor, kind):
                    return _refusal(path, descriptor)
            finally:
                os.close(descriptor)
    return None


def refuse_held(path: Path) -> None:
    """Refuse a name that somebody else holds; nothing is made.

    Raises
    ------
    OutputError
        If it is held.
    """
    if (refusal := held_by(path)) is not None:
        raise OutputError(refusal)


def _file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _whole_files(path: Path) -> list[Path]:
    """Return the locks of the names of which a name may be a scan or a part."""
    found = (part.sub("", path.stem) for part in _PARTS)
    stems = dict.fromkeys(stem for stem in found if stem and stem != path.stem)
    return [_file(path.with_name(f"{stem}{path.suffix}")) for stem in stems]


def _take(file: Path, kind: int, path: Path) -> int:
    while True:
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise output_error(error, file) from error
        try:
            if not _lock(descriptor, kind):
                raise OutputError(_refusal(path, descriptor))
            if _is_at(descriptor, file):
                _sign(descriptor)
                return os.dup(descriptor)
            # Its last holder has just removed it.
        except OSError as error:
            raise OutputError(
                f"{path} cannot be kept from other receivers: the file system of {path.parent} "
                f"has no locks ({error.strerror}); choose another folder, or mount it with locks"
            ) from error
        finally:
            os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    """Take a lock; return whether it was to be had."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                return False
        else:
            return True
        time.sleep(_LOOK_EVERY_S)


def _refusal(path: Path, descriptor: int) -> str:
    return (
        f"{path} is in use by another receiver{_signature(descriptor)}: choose another name, or "
        f"wait for its end"
    )


def _is_at(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except OSError:
        return False


def _sign(descriptor: int) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    said = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
    # What it says is for people: a full disk is told of elsewhere.
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(said).encode(), 0)


def _signature(descriptor: int) -> str:
    try:
        said = json.loads(os.pread(descriptor, _MOST_BYTES, 0))
        return f" (process {said['pid']} on {said['host']}, since {said['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
