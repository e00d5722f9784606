"""rclone's configuration: a file, fetched from a URL, or empty; always a copy of our own."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from receive.command.errors import ConfigError, NetworkError
from receive.download.fetch import RefusedError, download

if TYPE_CHECKING:
    from pathlib import Path

    from receive.config import Config

logger = logging.getLogger(__name__)

NAME = "rclone.conf"
_LARGEST_BYTES = 1 << 20
_TIMEOUT_S = 300.0
_FIRST_RETRIES = 2


class RcloneConfig:
    """The configuration file in a folder of ours.

    It is a copy because rclone refreshes tokens in it, which it cannot in a mounted Secret.

    Parameters
    ----------
    config
        With ``rclone.configurl`` and ``rclone.anonymous``.
    given
        A file of the user's, which comes before these.
    scratch
        Where the copy is made, with mode 0600.

    Raises
    ------
    ConfigError
        There is none, or it cannot be read.
    """

    def __init__(self, config: Config, given: Path | None, scratch: Path) -> None:
        self.path = scratch / NAME
        self._url = None
        if given is not None:
            self._take(given)
        elif config.rclone.configurl is not None:
            self._url = config.rclone.configurl
            self._shown = f"{config.place_of('rclone.configurl')}: rclone.configurl"
        elif config.rclone.anonymous:
            self._write(b"")
        else:
            raise ConfigError(
                "there is no configuration of rclone; give --rclone-config, rclone.configurl, or "
                "rclone.anonymous=true for a remote that needs no credentials"
            )
        self.is_here = self._url is None

    def fetch_early(self) -> None:
        """Fetch it, if it is to be fetched, while there is time to tell that it cannot be had.

        That the network is away is none of the user's faults: `fetch` tries again later.

        Raises
        ------
        ConfigError
            It cannot be had from there, however often it is tried.
        """
        try:
            self.fetch(retries=_FIRST_RETRIES)
        except RefusedError as error:
            raise ConfigError(str(error)) from None
        except NetworkError as error:
            logger.warning("%s; it is tried again when there is something to push", error)

    def fetch(self, *, retries: int) -> None:
        """Fetch it, if it is to be fetched and is not here yet.

        Raises
        ------
        NetworkError
            It cannot be had.
        ConfigError
            The URL cannot be used, or gives no configuration of rclone.
        """
        if self.is_here or self._url is None:
            return
        try:
            parts = urlsplit(self._url)
            usable = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname)
            _ = parts.port  # a ValueError where it is none
        except ValueError:
            usable = False
        if not usable:
            raise ConfigError(
                f"{self._shown} (hidden) is not accepted; accepted: http://... or https://..."
            )
        shown = f"{self._shown} (hidden, at {parts.hostname})"
        download(
            self._url,
            self.path,
            what="the configuration of rclone",
            shown=shown,
            retries=retries,
            timeout_s=_TIMEOUT_S,
            largest_bytes=_LARGEST_BYTES,
            decoded=True,
        )
        with self.path.open("rb") as file:
            if file.read(100).lstrip().startswith(b"<"):
                raise ConfigError(f"{shown}: is a web page and no rclone.conf")
        self.is_here = True

    def remove(self) -> None:
        """Remove the copy: it holds credentials."""
        self.path.unlink(missing_ok=True)

    def _take(self, given: Path) -> None:
        try:
            content = given.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"--rclone-config {given} cannot be read: {error.strerror}; give an rclone.conf"
            ) from None
        self._write(content)

    def _write(self, content: bytes) -> None:
        self.path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(self.path, flags, 0o600), "wb") as file:
            file.write(content)
