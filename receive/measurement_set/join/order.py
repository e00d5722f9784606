"""Pieces of channels in the order of frequency: where each goes, and what is missing between."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from receive.command.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from receive.measurement_set.join.pieces import Piece

Gaps = Literal["refuse", "fill", "keep"]

_NEAR = 0.5
"""Channels that are closer than this part of a step are the same channel."""
_WHOLE = 0.01
"""How far a gap may be from a whole number of channels, in channels, to be filled."""


@dataclass(frozen=True, eq=False)
class Block:
    """Neighbouring channels of the joined set.

    Attributes
    ----------
    piece : Piece or None
        Where they come from; None for a gap that is filled with flagged data.
    first : int
        Number of the first of them.
    freq_hz, width_hz : ndarray of float64, (channels,)
        Their centres and widths.
    """

    piece: Piece | None
    first: int
    freq_hz: NDArray[np.float64]
    width_hz: NDArray[np.float64]

    @property
    def channels(self) -> slice:
        """Which channels of the joined set they are."""
        return slice(self.first, self.first + len(self.freq_hz))

    def __str__(self) -> str:
        """Return what it is, for people."""
        taken = self.channels
        what = "nothing, flagged" if self.piece is None else str(self.piece.path)
        return (
            f"channels {taken.start} to {taken.stop - 1} "
            f"({self.freq_hz[0] / 1e6:.6f} to {self.freq_hz[-1] / 1e6:.6f} MHz): {what}"
        )


def order(pieces: Sequence[Piece], gaps: Gaps) -> list[Block]:
    """Put pieces of channels in the order of frequency.

    That order falls where it falls in the pieces.

    Parameters
    ----------
    pieces : sequence of Piece
        In any order.
    gaps : {"refuse", "fill", "keep"}
        What to do with channels that are missing between two pieces.

    Raises
    ------
    InputError
        If they overlap, if channels are missing and `gaps` is to refuse that, or if they cannot
        be put in order.
    """
    sign = _direction(pieces)
    ordered = sorted(pieces, key=lambda piece: sign * float(piece.model.channel_freq_hz[0]))
    distances_hz = [
        sign * float(after.model.channel_freq_hz[0] - before.model.channel_freq_hz[-1])
        for before, after in itertools.pairwise(ordered)
    ]
    step_hz = _step_hz(ordered, distances_hz)
    blocks = [_block(ordered[0], 0)]
    for before, after, distance_hz in zip(ordered, ordered[1:], distances_hz, strict=False):
        if distance_hz < _NEAR * step_hz:
            raise InputError(
                f"{before.path} ({_span(before)}) and {after.path} ({_span(after)}) overlap: "
                f"each channel may be in one piece only"
            )
        missing = distance_hz / step_hz - 1
        if missing > _NEAR and gaps != "keep":
            blocks.append(_gap(blocks[-1], before, after, missing, sign * step_hz, gaps))
        blocks.append(_block(after, blocks[-1].channels.stop))
    return blocks


def _direction(pieces: Sequence[Piece]) -> int:
    """Return 1 where frequencies ascend, -1 where they descend."""
    found: dict[int, Piece] = {}
    for piece in pieces:
        if piece.channels > 1:
            signs = np.unique(np.sign(np.diff(piece.model.channel_freq_hz)))
            if len(signs) > 1 or not signs[0]:
                raise InputError(f"the channels of {piece.path} are not in order of frequency")
            found.setdefault(int(signs[0]), piece)
    if len(found) > 1:
        raise InputError(
            f"the frequencies ascend in {found[1].path} and descend in {found[-1].path}: "
            f"they cannot become one spectral window"
        )
    if found:
        return next(iter(found))
    return -1 if all(piece.model.channel_width_hz[0] < 0 for piece in pieces) else 1


def _step_hz(ordered: Sequence[Piece], distances_hz: Sequence[float]) -> float:
    steps = [np.abs(np.diff(piece.model.channel_freq_hz)) for piece in ordered]
    joined = np.concatenate(steps)
    if joined.size:
        return float(np.median(joined))
    width_hz = abs(float(ordered[0].model.channel_width_hz[0]))
    apart = [distance for distance in distances_hz if distance > _WHOLE * width_hz]
    return min(apart, default=width_hz)


def _block(piece: Piece, first: int) -> Block:
    return Block(piece, first, piece.model.channel_freq_hz, piece.model.channel_width_hz)


def _gap(
    last: Block, before: Piece, after: Piece, missing: float, step_hz: float, gaps: Gaps
) -> Block:
    count = round(missing)
    whole = count > 0 and abs(missing - count) <= _WHOLE * max(count, 1)
    where = f"between {before.path} ({_span(before)}) and {after.path} ({_span(after)})"
    if gaps == "refuse":
        number = f"{count} channels are" if whole else f"{missing:.3g} channels' width is"
        fill = "fill writes flagged data there, " if whole else ""
        raise InputError(
            f"{number} missing {where}: give the piece that has them, or --gaps "
            f"({fill}keep leaves them out)"
        )
    if not whole:
        raise InputError(
            f"{missing:.3g} channels are missing {where}, which is no whole number: "
            f"--gaps keep leaves them out"
        )
    freq_hz = last.freq_hz[-1] + step_hz * np.arange(1, count + 1)
    width_hz = np.full(count, last.width_hz[-1])
    return Block(None, last.channels.stop, freq_hz, width_hz)


def _span(piece: Piece) -> str:
    freq_hz = piece.model.channel_freq_hz
    return f"{freq_hz[0] / 1e6:.6f} to {freq_hz[-1] / 1e6:.6f} MHz"
