"""Atomic instructions and fences for compiled code, which numba lacks.

Several network threads and one Python thread share arrays without a lock.  Claiming an entry or
the place of a heap takes a compare-and-swap, counting an atomic add.  Publishing takes a full
fence, so that "write A, then read B" in one thread and "write B, then read A" in another cannot
both see the old value.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def fence(typing_context: Any) -> Any:
    """Emit a full memory barrier."""
    signature = types.void()

    def generate(_context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.fence("seq_cst")
        return ir.Constant(ir.IntType(8).as_pointer(), None)

    return signature, generate


@intrinsic
def compare_and_swap(
    typing_context: Any,
    array: Any,
    index: Any,
    expected: Any,
    new: Any,
) -> Any:
    """Set ``array[index]`` (1-d, integers) to ``new`` if it is ``expected``; True if done."""
    signature = types.boolean(array, types.intp, array.dtype, array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments)
        outcome = builder.cmpxchg(pointer, arguments[2], arguments[3], "seq_cst", "seq_cst")
        return builder.extract_value(outcome, 1)

    return signature, generate


@intrinsic
def add(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Add to ``array[index]`` (1-d, integers)."""
    return _changing(array, "add")


@intrinsic
def raise_to(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Set ``array[index]`` (1-d, integers) to a value if that is larger."""
    return _changing(array, "max" if array.dtype.signed else "umax")


def _changing(array: Any, operation: str) -> Any:
    signature = types.void(array, types.intp, array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, arguments)
        builder.atomic_rmw(operation, pointer, arguments[2], "seq_cst")
        return ir.Constant(ir.IntType(8).as_pointer(), None)

    return signature, generate


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array_type = signature.args[0]
    array = context.make_array(array_type)(context, builder, arguments[0])
    return cgutils.get_item_pointer(
        context, builder, array_type, array, [arguments[1]], wraparound=False
    )


_usleep = types.ExternalFunction("usleep", types.int32(types.uint32))
_MOMENT_US = 200


@njit(nogil=True)
def wait_a_moment():
    """Let other threads run."""
    _usleep(_MOMENT_US)


@njit(nogil=True, cache=True)
def full_fence() -> None:
    """Emit a full memory barrier from Python."""
    fence()  # type: ignore[call-arg] # numba passes the typing context
