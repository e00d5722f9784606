"""Fetches a model into its folder; an incomplete set never appears under the final name.

Hidden files stand next to ``NAME``: ``.NAME.lock`` (held during a fetch), ``.NAME.fetching`` (the
archive, and the set until it is complete) and ``.NAME.fetched.json`` (the archive that the set came
from, so that it is not fetched twice).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from receive.command.errors import ConfigError, InputError, OutputError
from receive.command.progress import format_amount
from receive.download.fetch import RETRIES, STALL_TIMEOUT_S, TIMEOUT_S, download
from receive.fetch.archive import check_format
from receive.fetch.limits import MAX_RATIO, MAX_UNPACKED_BYTES, Limits
from receive.fetch.source import source_of
from receive.fetch.unpack import unpack_set
from receive.measurement_set.read.table_name import refuse_misread_output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from receive.config import Config
    from receive.fetch.source import Source

logger = logging.getLogger(__name__)

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """Limits of a fetch."""

    retries: int = RETRIES
    stall_timeout_s: float = STALL_TIMEOUT_S
    timeout_s: float = TIMEOUT_S
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES
    max_ratio: float = MAX_RATIO


def fetch_model(config: Config, folder: Path, bounds: Bounds) -> Path:
    """Fetch the configured model into `folder`; return its path.

    Raises
    ------
    ConfigError
        ``model.url`` or ``model.name`` cannot be used.
    InputError
        The archive has the wrong checksum, lacks the set, or must not be unpacked.
    OutputError
        The disk is full, or something else has the model's name.
    NetworkError
        The archive cannot be downloaded.
    """
    name = _name(config)
    source = source_of(config)
    target = folder / name
    refuse_misread_output(target)
    with _locked(folder, name):
        scratch = folder / f".{name}.fetching"
        record = folder / f".{name}.fetched.json"
        _remove(scratch)
        if target.exists() or target.is_symlink():
            if _is_same(record, source, config.model.sha256):
                logger.info("%s is there already", target)
                return target
            if not record.exists():
                raise OutputError(
                    f"{target} is there already, and was not fetched by this command; remove it, "
                    "or give another folder"
                )
        try:
            _make(scratch)
            _fetch(config, source, scratch, target, record, bounds)
        finally:
            _remove(scratch)
    return target


def _fetch(
    config: Config, source: Source, scratch: Path, target: Path, record: Path, bounds: Bounds
) -> None:
    started_s = time.monotonic()
    archive = _archive(source, scratch, bounds)
    check_format(archive, source.shown)
    checksum = _sha256(archive)
    expected = config.model.sha256
    if expected is not None and checksum != expected.lower():
        raise InputError(
            f"{source.shown}: its SHA-256 checksum is {checksum}, and model.sha256 is "
            f"{expected.lower()}: it is damaged, or another file"
        )
    unpacked = scratch / "unpacked"
    unpacked.mkdir()
    limits = Limits(
        source.shown,
        archive.stat().st_size,
        scratch,
        bounds.max_unpacked_bytes,
        bounds.max_ratio,
    )
    found = unpack_set(archive, target.name, unpacked, limits)
    # Order: move the old set away, write the record, move the new set in.  A set without a record
    # counts as not ours, and a record must never describe a set from another archive.
    if target.exists():
        target.rename(scratch / "replaced")
    partial = scratch / "record"
    partial.write_text(json.dumps({"source": source.identity, "sha256": checksum}) + "\n")
    partial.replace(record)
    found.rename(target)
    logger.info(
        "%s is there, from %s: unpacked %s, SHA-256 %s",
        target,
        source.shown,
        format_amount(limits.unpacked_bytes, time.monotonic() - started_s),
        checksum,
    )


def _name(config: Config) -> str:
    name = config.model.name
    if "/" in name or name.startswith(".") or "\\" in name:
        raise ConfigError(
            f"{config.place_of('model.name')}: model.name {name} is not accepted; accepted: the "
            "name of a Measurement Set, without folders, such as sim-vis.ms"
        )
    return name


@contextlib.contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / f".{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(f"{folder}: another emu-fetch-model is at work there") from None
    else:
        yield
    finally:
        os.close(lock)


def _make(scratch: Path) -> None:
    try:
        scratch.mkdir()
    except OSError as error:
        raise OutputError(f"{scratch.parent} cannot be written: {error.strerror}") from None


def _remove(scratch: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(scratch)


def _is_same(record: Path, source: Source, sha256: str | None) -> bool:
    """Return whether the existing set came from this archive."""
    try:
        content: Any = json.loads(record.read_text())
        if sha256 is not None:
            return bool(content["sha256"] == sha256.lower())
        return bool(content["source"] == source.identity)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _archive(source: Source, scratch: Path, bounds: Bounds) -> Path:
    if source.path is not None:
        return source.path
    assert source.url is not None  # noqa: S101 (one of them is given)
    target = scratch / "archive"
    logger.info("fetching the model from %s", source.shown)
    download(
        source.url,
        target,
        what="the model",
        retries=bounds.retries,
        stall_timeout_s=bounds.stall_timeout_s,
        timeout_s=bounds.timeout_s,
        # An archive exceeds its content only by its headers.
        largest_bytes=bounds.max_unpacked_bytes,
    )
    return target


def _sha256(archive: Path) -> str:
    try:
        with archive.open("rb") as file:
            digest = hashlib.sha256()
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
    except OSError as error:
        raise InputError(f"{archive} cannot be read: {error.strerror}") from None
    return digest.hexdigest()
