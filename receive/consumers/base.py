"""The interface of a consumer, and the lookup of consumers by name."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import inspect
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from receive.command.errors import ConfigError, ConsumerError, VisReceiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from receive.config import Config
    from receive.icd.payload import Payload
    from receive.model import TelescopeModel
    from receive.stream.dumps.ledger import ScanLedger

logger = logging.getLogger(__name__)

ENTRY_POINTS = "vis_receive.consumers"
BUILT_IN = {
    "mswriter": "receive.consumers.ms.writer.MeasurementSetConsumer",
    "null": "receive.consumers.null.NullConsumer",
}
AWAITED = ("consume", "close", "scan_began", "scan_ended")
"""Methods of a consumer; all but the first are optional."""


class Consumer(Protocol):
    """Interface of a consumer; ``close()`` is optional.

    It is constructed with ``(config, tm)`` before the receiver is ready.  A class attribute
    ``per_heap = True`` asks for a payload for each heap instead of each dump.  The payload's
    ``parts`` are valid until ``consume`` returns.
    """

    async def consume(self, payload: Payload) -> None:
        """Take one integration."""
        ...


@runtime_checkable
class ScanConsumer(Protocol):
    """A consumer with a callback at the end of each scan."""

    async def scan_ended(self, ledger: ScanLedger) -> None:
        """Handle the end of a scan: all its payloads have been given."""
        ...


@runtime_checkable
class ScanBeginConsumer(Protocol):
    """A consumer with a callback at the beginning of each scan."""

    async def scan_began(self, ledger: ScanLedger) -> None:
        """Handle the beginning of a scan: the next payloads belong to it.

        The receiver keeps updating the ledger, which is ahead of the payloads.
        """
        ...


def load(name: str, config: Config, model: TelescopeModel) -> Any:
    """Construct a consumer.

    Parameters
    ----------
    name
        Built-in name, entry point of ``vis_receive.consumers``, or ``package.module.Class``.
    config, model
        Passed to its constructor.

    Raises
    ------
    ConfigError
        If there is no such consumer, or it is not a consumer.
    ConsumerError
        If its constructor raised.
    """
    consumer_class = find(name)
    try:
        return consumer_class(config, model)
    except VisReceiveError:
        raise
    except Exception as error:
        logger.debug("Consumer %s could not be constructed", name, exc_info=True)
        raise ConsumerError(
            f"consumer {name} could not be constructed: {type(error).__name__}: {error}"
        ) from error


def find_all(config: Config) -> list[Any]:
    """Return the classes of all consumers of `reception.consumer`.

    Raises
    ------
    ConfigError
        If one is not there, is not a consumer or is named twice, or none is named.
    """
    names = config.reception.consumer
    if not names:
        raise ConfigError("reception.consumer is empty: name at least one, such as mswriter")
    if len(set(names)) != len(names):
        raise ConfigError(f"reception.consumer = {','.join(names)}: one is named twice")
    return [find(name) for name in names]


def find(name: str) -> Any:
    """Return the class of a consumer.

    Parameters
    ----------
    name
        As `load` takes it.

    Raises
    ------
    ConfigError
        If there is no such consumer, or it is not a consumer.
    """
    consumer_class = _find(name)
    if not isinstance(consumer_class, type) or not callable(
        getattr(consumer_class, "consume", None)
    ):
        raise ConfigError(
            f"reception.consumer = {name}: {consumer_class!r} has no method consume(payload)"
        )
    for method in AWAITED:
        found = getattr(consumer_class, method, None)
        if found is not None and not inspect.iscoroutinefunction(found):
            raise ConfigError(
                f"reception.consumer = {name}: its {method} is not async, and is awaited: write "
                f"async def {method}(...)"
            )
    return consumer_class


def _find(name: str) -> Any:
    if name in BUILT_IN:
        return _import(name, BUILT_IN[name])
    found = importlib.metadata.entry_points(group=ENTRY_POINTS)
    if name in found.names:
        try:
            return found[name].load()
        except Exception as error:
            raise ConfigError(
                f"reception.consumer = {name}: its entry point {found[name].value} cannot be "
                f"loaded: {type(error).__name__}: {error}"
            ) from error
    if "." not in name:
        known = ", ".join(sorted({*BUILT_IN, *found.names}))
        raise ConfigError(
            f"reception.consumer = {name}: no such consumer; there are {known}, "
            f"or give package.module.Class"
        )
    return _import(name, name)


def _import(name: str, path: str) -> Any:
    module_name, _, class_name = path.rpartition(".")
    try:
        with _working_folder_importable():
            return getattr(importlib.import_module(module_name), class_name)
    except AttributeError as error:
        raise ConfigError(
            f"reception.consumer = {name}: module {module_name} has no class {class_name}"
        ) from error
    except Exception as error:
        raise ConfigError(
            f"reception.consumer = {name}: module {module_name} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error


@contextlib.contextmanager
def _working_folder_importable() -> Iterator[None]:
    """Let modules of the working directory be imported, as with ``python -m``."""
    if sys.flags.safe_path:
        # -P and PYTHONSAFEPATH forbid it here, too.
        yield
        return
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)
