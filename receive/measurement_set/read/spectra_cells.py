"""Looking at the cells of spectra before they are read: whether all are there, of one shape.

A cell may be missing in some rows, and its shape may change from row to row, even within one data
description.  What is found here is found before the first heap is sent.  casacore looks itself
(TaQL), and not at all where a column has one shape by its description.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from receive.command.errors import InputError
from receive.measurement_set.read.opening import damaged

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from receive.measurement_set.read.subtables import Description

logger = logging.getLogger(__name__)

_FIXED_SHAPE = 4
_VISIBILITY_TYPES = ("complex", "dcomplex", "float", "double")


@dataclass(frozen=True)
class SpectraCells:
    """Which rows of a data description and field have no cell, by column.

    Attributes
    ----------
    missing : dict
        Numbers of rows, ascending, for each column that can be read.
    """

    missing: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    @classmethod
    def look(cls, path: Path, table: Any, description: Description, column: str) -> SpectraCells:
        """Look at the cells of `column`, FLAG and WEIGHT_SPECTRUM.

        Raises
        ------
        InputError
            If visibilities are missing altogether, or their shape or that of FLAG is not that of
            the spectral window and polarisation in every row.
        """
        found = cls()
        columns = table.colnames()
        if table.coldatatype(column) not in _VISIBILITY_TYPES:
            raise InputError(
                f"{path}: {column} holds no visibilities but {table.coldatatype(column)}"
            )
        look = _Look(path, table, description)
        found.missing[column] = look.missing(column)
        if len(found.missing[column]) == look.rows:
            raise InputError(
                f"{path}: {column} has no cell in any of the {look.rows} rows of "
                f"{look.what}: there are no visibilities to read"
            )
        look.refuse_other_shapes(column)
        look.tell_missing(column, found.missing[column], "0, flagged")
        if "FLAG" in columns:
            found.missing["FLAG"] = look.missing("FLAG")
            look.refuse_other_shapes("FLAG")
            look.tell_missing("FLAG", found.missing["FLAG"], "not flagged")
        if "WEIGHT_SPECTRUM" in columns:
            missing = look.missing("WEIGHT_SPECTRUM")
            other = look.other_shapes("WEIGHT_SPECTRUM")
            if other.size:
                logger.warning(
                    "%s: WEIGHT_SPECTRUM has the shape %s in row %d, not of %s: it is not used",
                    path,
                    look.shape_in("WEIGHT_SPECTRUM", int(other[0])),
                    other[0],
                    column,
                )
            elif len(missing) < look.rows:
                # The column is optional, and sets that have it often leave all its cells empty.
                found.missing["WEIGHT_SPECTRUM"] = missing
                look.tell_missing("WEIGHT_SPECTRUM", missing, "full weight")
        return found


class _Look:
    """Asks casacore about the rows of one data description and field."""

    def __init__(self, path: Path, table: Any, description: Description) -> None:
        self._path = path
        dd, field_id = description.data_desc_id, description.field_id
        self.what = f"data description {dd} and field {field_id}"
        self._shape = (len(description.channel_freq_hz), len(description.corr_types))
        condition = f"DATA_DESC_ID=={dd}"
        if "FIELD_ID" in table.colnames():
            condition += f" && FIELD_ID=={field_id}"
        self._main = table
        self._table = table.query(condition)
        self.rows = int(self._table.nrows())
        self._found: dict[str, NDArray[np.int64]] = {}

    def missing(self, column: str) -> NDArray[np.int64]:
        odd = self._odd(column)
        return self._numbers(column, f"!isdefined({column})") if odd.size else odd

    def other_shapes(self, column: str) -> NDArray[np.int64]:
        return np.setdiff1d(self._odd(column), self.missing(column))

    def _odd(self, column: str) -> NDArray[np.int64]:
        """Return the rows whose cell is missing or of another shape; casacore is asked once."""
        if column not in self._found:
            self._found[column] = self._find_odd(column)
        return self._found[column]

    def _find_odd(self, column: str) -> NDArray[np.int64]:
        if self._main.getcoldesc(column)["option"] & _FIXED_SHAPE:
            first = int(self._table.rownumbers(self._main)[0])
            fits = self.shape_in(column, first) == self._shape
            return np.zeros(0, np.int64) if fits else np.array([first], np.int64)
        channels, pols = self._shape
        other = f"ndim({column}) != 2 || any(shape({column}) != [{channels},{pols}])"
        return self._numbers(column, f"!isdefined({column}) || {other}")

    def _numbers(self, column: str, condition: str) -> NDArray[np.int64]:
        try:
            found = self._table.query(condition)
            return np.asarray(found.rownumbers(self._main), np.int64)
        except RuntimeError as error:
            raise damaged(self._path, error, f"looking at the cells of {column}") from None

    def refuse_other_shapes(self, column: str) -> None:
        other = self.other_shapes(column)
        if other.size:
            row = int(other[0])
            raise InputError(
                f"{self._path}: {column} of row {row} has the shape {self.shape_in(column, row)}, "
                f"but its spectral window and polarisation say (channels, polarisations) = "
                f"{self._shape}"
            )

    def tell_missing(self, column: str, missing: NDArray[np.int64], taken_as: str) -> None:
        if missing.size:
            logger.warning(
                "%s: %s has no cell in %d of %d rows, first in row %d: %s is taken there",
                self._path,
                column,
                missing.size,
                self.rows,
                missing[0],
                taken_as,
            )

    def shape_in(self, column: str, row: int) -> tuple[int, ...]:
        try:
            return tuple(np.shape(self._main.getcell(column, row)))
        except RuntimeError as error:
            raise damaged(self._path, error, f"reading {column} of row {row}") from None
