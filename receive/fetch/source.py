"""Source of a model's archive: ``model.url``, or the sample in the image."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from receive.command.errors import ConfigError, InputError
from receive.config.masking import masked_url

if TYPE_CHECKING:
    from receive.config import Config

SAMPLE = "VIS_RECEIVE_SAMPLE"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")
_ACCEPTED = "http://..., https://..., file:///..., or a path"


@dataclass(frozen=True)
class Source:
    """Location of an archive.

    Attributes
    ----------
    url
        For http and https, else None.
    path
        For a local file, else None.
    shown
        Its name in messages, without credentials.
    """

    url: str | None
    path: Path | None
    shown: str

    @property
    def identity(self) -> str:
        """Hash that identifies the source without revealing credentials."""
        return hashlib.sha256((self.url or str(self.path)).encode()).hexdigest()


def source_of(config: Config) -> Source:
    """Return the source of the configured model.

    Raises
    ------
    ConfigError
        The URL cannot be used, or neither a URL nor a sample is given.
    InputError
        The file does not exist.
    """
    url = config.model.url
    if url is None:
        return _sample()
    place = config.place_of("model.url")
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match is not None else ""
    if scheme in {"http", "https"}:
        if not _has_host(url):
            raise ConfigError(f"{place}: model.url has no host; accepted: {_ACCEPTED}")
        return Source(url, None, masked_url(url))
    if scheme == "file":
        parts = urlsplit(url)
        if parts.netloc not in {"", "localhost"}:
            raise ConfigError(
                f"{place}: model.url {masked_url(url)} names a host; accepted: file:///path"
            )
        return _file(Path(url2pathname(parts.path)), "model.url")
    if match is not None and match[2]:
        raise ConfigError(
            f"{place}: model.url has the scheme {scheme}, which cannot be fetched; accepted: "
            f"{_ACCEPTED}"
        )
    return _file(Path(url), "model.url")


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.hostname)


def _sample() -> Source:
    path = os.environ.get(SAMPLE)
    if not path:
        raise ConfigError(
            f"default: model.url is not given, and {SAMPLE} names no sample (only our images have "
            f"one); give model.url: {_ACCEPTED}"
        )
    return _file(Path(path), SAMPLE)


def _file(path: Path, what: str) -> Source:
    if path.is_dir():
        raise InputError(f"{what}: {path} is a folder; pack it: tar -czf model.tar.gz {path.name}")
    if not path.is_file():
        raise InputError(f"{what}: there is no file {path}")
    return Source(None, path.absolute(), str(path))
