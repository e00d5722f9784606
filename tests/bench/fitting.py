"""Costs from measurements: least squares whose coefficients are not negative, and their errors."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def non_negative(matrix: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the x >= 0 for which matrix @ x comes nearest to the values.

    The best x is the plain least-squares solution of those columns in which it is not 0.  With
    ten columns there are a thousand choices of them, so all are tried: exact, and nothing to
    converge.
    """
    # Costs differ by ten orders of magnitude; columns of one length do not.
    lengths = np.linalg.norm(matrix, axis=0)
    used = np.flatnonzero(lengths)
    scaled = matrix[:, used] / lengths[used]
    best, least = np.zeros(matrix.shape[1]), float(values @ values)
    for count in range(1, used.size + 1):
        for chosen in combinations(range(used.size), count):
            columns = scaled[:, chosen]
            found = np.linalg.lstsq(columns, values, rcond=None)[0]
            rest = values - columns @ found
            if found.min() >= 0 and rest @ rest < least * (1 - 1e-12):
                best, least = np.zeros(matrix.shape[1]), float(rest @ rest)
                best[used[list(chosen)]] = found / lengths[used[list(chosen)]]
    return best


def relative(
    matrix: NDArray[np.float64], values: NDArray[np.float64], floor: float
) -> NDArray[np.float64]:
    """Return the non-negative costs that make the errors least, relative to the values.

    Parameters
    ----------
    floor
        Added to each value before errors are divided by it: small ones need not be as exact.
    """
    scale = 1 / (values + floor)
    return non_negative(matrix * scale[:, None], values * scale)


def left_out(
    matrix: NDArray[np.float64],
    values: NDArray[np.float64],
    groups: Sequence[object],
    floor: float,
) -> NDArray[np.float64]:
    """Return each value predicted by costs that were fitted without its group.

    What a fit makes of points that it has seen flatters it; this is what it makes of others.
    """
    predicted = np.empty_like(values)
    for group in set(groups):
        out = np.array([other == group for other in groups])
        predicted[out] = matrix[out] @ relative(matrix[~out], values[~out], floor)
    return predicted
