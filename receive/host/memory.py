"""Memory for large buffers: where it comes from is decided by whoever makes a receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Allocator: TypeAlias = "Callable[[int], NDArray[np.uint8]]"
"""Returns that many bytes, which need not be cleared."""


def private_memory(size_bytes: int) -> NDArray[np.uint8]:
    """Return memory of this process; its pages are taken from the system when first touched."""
    return np.empty(size_bytes, np.uint8)
