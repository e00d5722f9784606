"""The two processor instructions that the compiled code needs and numba does not offer.

Several network threads and one Python thread share arrays without a lock.  Claiming an entry
takes a compare-and-swap; publishing one takes a full fence, so that "I write A, then read B" in
one thread and "I write B, then read A" in another cannot both see the old value.
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
    """Set ``array[index]`` (1-d int64) to ``new`` if it is ``expected``; True if that was done."""
    signature = types.boolean(array, types.intp, types.int64, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type = signature.args[0]
        array_value = context.make_array(array_type)(context, builder, arguments[0])
        pointer = cgutils.get_item_pointer(
            context, builder, array_type, array_value, [arguments[1]], wraparound=False
        )
        outcome = builder.cmpxchg(pointer, arguments[2], arguments[3], "seq_cst", "seq_cst")
        return builder.extract_value(outcome, 1)

    return signature, generate


@njit(nogil=True, cache=True)
def full_fence() -> None:
    """Emit a full memory barrier from Python."""
    fence()  # type: ignore[call-arg] # numba passes the typing context
