"""Memory for large buffers; the caller that makes a receiver chooses the allocator."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Allocator: TypeAlias = "Callable[[int], NDArray[np.uint8]]"
"""Takes a size in bytes and returns that much memory, which need not be zeroed."""


def private_memory(size_bytes: int) -> NDArray[np.uint8]:
    """Return private memory of this process; pages are allocated when first touched."""
    return np.empty(size_bytes, np.uint8)
