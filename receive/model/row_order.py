"""Order of the baselines of a set whose integrations may have different baselines or orders.

A baseline is a pair of antennas and a number: the k-th row of that pair within its integration.
<<<<<<< HEAD
Here pairs are packed into one integer, repeats are numbered, and the union over all integrations
is put in order.
=======
Pairs are packed into one integer, repeats are numbered, and the union over all integrations is
ordered.  Used only by `receive.model.rows`.
>>>>>>> 26a7087 (Texts of model, sizing and the SPEAD items in plain English)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_LOW_HALF = 0xFFFFFFFF


def pack(antenna1: NDArray[Any], antenna2: NDArray[Any]) -> Ints:
    """Pack pairs of antenna numbers into int64; negative where one of them is negative."""
    return np.asarray((antenna1.astype(np.int64) << 32) | antenna2.astype(np.int64))


def unpack(code: Ints) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Undo `pack`."""
    return (code >> 32).astype(np.int32), (code & _LOW_HALF).astype(np.int32)


def repeat_numbers(group: NDArray[Any], code: Ints) -> Ints:
    """Return the number of each code among its repeats in its group, from 0 in array order."""
    # lexsort is stable, so equal pairs stay in order.
    order = np.lexsort((code, group))
    sorted_code, sorted_group = code[order], group[order]
    starts = np.ones(len(code), np.bool_)
    starts[1:] = (sorted_code[1:] != sorted_code[:-1]) | (sorted_group[1:] != sorted_group[:-1])
    position = np.arange(len(code))
    first = np.maximum.accumulate(np.where(starts, position, 0))
    numbers = np.empty(len(code), np.int64)
    numbers[order] = position - first
    return numbers


@dataclass(frozen=True, eq=False)
class BaselineOrder:
    """The ordered baselines of a set, and the baseline index of each row.

    Attributes
    ----------
    antenna1, antenna2 : ndarray of int32, (baselines,)
        The baselines.
    pattern_slots : tuple of ndarray of intp
        For each pattern, the baseline indices of its rows.
    loose_slots : ndarray of intp, (loose rows,)
        The same for rows of irregular integrations.
    """

    antenna1: NDArray[np.int32]
    antenna2: NDArray[np.int32]
    pattern_slots: tuple[NDArray[np.intp], ...]
    loose_slots: NDArray[np.intp]

    @classmethod
    def of(
        cls, patterns: Sequence[Ints], first_time: Floats, loose_time: Floats, loose_code: Ints
    ) -> BaselineOrder:
        """Find the order.

        Parameters
        ----------
        patterns : sequence of ndarray of int64
            Packed pairs of regular integrations, in the order of their rows.
        first_time : ndarray of float64, (patterns,)
            The earliest integration of each pattern, MJD seconds.
        loose_time, loose_code : ndarray, (loose rows,)
            Integration and packed pair of rows of irregular integrations, ordered by integration
            and row.
        """
        lengths = [len(pattern) for pattern in patterns]
        bounds = np.cumsum(lengths)
        code = np.concatenate([*patterns, loose_code])
        time = np.concatenate([np.repeat(first_time, lengths), loose_time])
        # Each pattern, and each time of loose rows, is a separate integration.
        sequences = np.arange(len(patterns))
        times, loose_sequence = np.unique(loose_time, return_inverse=True)
        sequence = np.concatenate(
            [np.repeat(sequences, lengths), loose_sequence + len(patterns)]
        ).astype(np.int64)

        numbers = repeat_numbers(sequence, code)
        pairs, pair = np.unique(code, return_inverse=True)
        repeats = int(numbers.max()) + 1
        baselines, baseline = np.unique(pair * repeats + numbers, return_inverse=True)

        # A sequence holds each baseline at most once, so one as long as the union is complete.
        complete = np.flatnonzero(np.bincount(sequence) == len(baselines))
        if complete.size:
            sequence_time = np.concatenate([first_time, times])
            earliest = complete[np.argmin(sequence_time[complete])]
            order = baseline[sequence == earliest]
        else:
            by_time = np.argsort(time, kind="stable")
            seen, first = np.unique(baseline[by_time], return_index=True)
            order = seen[np.argsort(first)]

        slot_of = np.empty(len(baselines), np.intp)
        slot_of[order] = np.arange(len(baselines))
        slots = slot_of[baseline]
        antenna1, antenna2 = unpack(pairs[baselines[order] // repeats])
        *pattern_slots, loose_slots = np.split(slots, bounds)
        return cls(antenna1, antenna2, tuple(pattern_slots), loose_slots)
