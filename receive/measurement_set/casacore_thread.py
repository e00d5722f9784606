"""The one thread that calls casacore.

casacore's tables are not safe to use from several threads, not even different tables: they share
caches and a registry of open tables.  Everything that touches them goes through `run`.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

THREAD_NAME = "casacore"

_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=THREAD_NAME)


def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function on casacore's thread and return what it returns, or raise what it raises.

    Called on that thread already, the function is called at once.
    """
    if threading.current_thread().name.startswith(THREAD_NAME):
        return function(*args, **kwargs)
    return _executor.submit(function, *args, **kwargs).result()
