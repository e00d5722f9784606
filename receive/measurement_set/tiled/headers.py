"""The small files that say how many rows there are: made for any number without casacore.

casacore writes the tiles of a table as soon as it adds rows to it, all zeros and all of them, so
it cannot be asked for the headers of a table that is still to grow.  But nothing changes in those
headers with the number of rows except that number itself.  So casacore makes a table of one row
and of two (`write.empty_set`); in ``table.dat``, ``table.lock`` and the file of
the IncrementalStMan the number is found by comparing the two; the headers of the tiled columns
are written here, and the one for a single row must be what casacore wrote.

Changing a header is one small write in place, which a kill cannot interrupt.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from receive.command.errors import OutputError

if TYPE_CHECKING:
    from receive.measurement_set.tiled.tiles import TiledColumn

MAX_ROWS = 2**31 - 1
"""Beyond this casacore writes its headers in another form."""

_SYNC = b"\x00\x00\x00\x04sync"
_MAGIC = b"\xbe\xbe\xbe\xbe"
_LITTLE_ENDIAN_VERSION = 2
_CASACORE_TYPE = {"?": 0, "<i4": 5, "<f4": 7, "<f8": 8, "<c8": 9}
"""Numbers of casacore's data types (``casa/Utilities/DataType.h``)."""


@dataclass(frozen=True)
class RowField:
    """Where a file holds the number of rows: an unsigned integer of four bytes.

    Attributes
    ----------
    file : str
        Name of the file in the main table's folder.
    offset : int
        Where in the file, bytes.
    big_endian : bool
        In which order its bytes are.
    """

    file: str
    offset: int
    big_endian: bool

    def encode(self, rows: int) -> bytes:
        """Return the bytes that say `rows`."""
        return struct.pack(">I" if self.big_endian else "<I", rows)


def find_row_fields(name: str, one: bytes, two: bytes, *, big_endian: bool) -> list[RowField]:
    """Find the number of rows in a file that casacore wrote for one row and for two.

    Raises
    ------
    OutputError
        If the two differ in anything else: another casacore than those known.
    """
    form = ">I" if big_endian else "<I"
    low_byte = 3 if big_endian else 0
    changed = [i for i in range(len(one)) if one[i] != two[i]] if len(one) == len(two) else []
    fields = [RowField(name, position - low_byte, big_endian) for position in changed]
    for field in fields:
        window = slice(field.offset, field.offset + 4)
        if (one[window], two[window]) != (struct.pack(form, 1), struct.pack(form, 2)):
            raise _unknown_form(name)
    if not fields:
        raise _unknown_form(name)
    return fields


def find_lock_row_field(name: str, content: bytes) -> RowField:
    """Find the number of rows in ``table.lock`` (``TableSyncData::write``), written for one row.

    Comparing does not help there: counters of changes stand beside it.
    """
    mark = content.find(_SYNC)
    offset = mark + len(_SYNC) + 4
    if mark < 0 or content[offset : offset + 4] != struct.pack(">I", 1):
        raise _unknown_form(name)
    return RowField(name, offset, big_endian=True)


def tiled_header(column: TiledColumn, rows: int, *, wide: bool = True) -> bytes:
    """Return the header of a TiledColumnStMan (``TiledStMan::headerFilePut``).

    Parameters
    ----------
    column : TiledColumn
        The column it holds.
    rows : int
        Rows of the table.  The header itself is big-endian whatever the tiles are.
    wide : bool
        Write the file's length with eight bytes, as casacore does for files from 2 GiB on and
        reads for all, so that headers for all numbers of rows have the same size.
    """
    tiling = column.tiling
    length = tiling.file_bytes(rows)
    tile = _shape(tiling.tile)
    record_desc = _object("RecordDesc", 2, _uint(0))
    # A record that describes itself (type 1), with no fields.
    coordinates = _object("Record", 1, record_desc + _uint(1))
    body = b"".join(
        [
            b"\0",  # the tiles are not big-endian
            _uint(column.sequence),
            _uint(rows),
            _uint(1),  # columns
            _uint(_CASACORE_TYPE[_type_name(column)]),
            _string(column.group),
            _uint(0),  # no limit to the cache
            _uint(len(tiling.tile)),
            _uint(1),  # files
            b"\1",
            _uint(2) + _uint(0) + struct.pack(">Q", length)
            if wide
            else _uint(1) + _uint(0) + _uint(length),
            _uint(1),  # hypercubes
            _uint(1),  # version
            coordinates,
            b"\1",  # extensible
            _uint(len(tiling.tile)),
            _shape((*tiling.cell, rows)),
            tile,
            _uint(0),  # file number
            _uint(0),  # offset in it
        ]
    )
    inner = tile + _object("TiledStMan", _LITTLE_ENDIAN_VERSION, body)
    return _MAGIC + _object("TiledColumnStMan", 1, inner)


class TiledHeader:
    """The header of a tiled column, changed in place from one number of rows to the next."""

    def __init__(self, column: TiledColumn) -> None:
        self._tiling = column.tiling
        self._content = bytearray(tiled_header(column, 0))
        shape_bytes = len(_shape(self._tiling.tile))
        opening = len(_MAGIC + _uint(0) + _string("TiledColumnStMan") + _uint(0)) + shape_bytes
        opening += len(_uint(0) + _string("TiledStMan") + _uint(0))
        # After the endianness and the sequence number.
        self._rows_at = opening + 1 + 4
        # After columns, type, name, cache, dimensions, files, a truth value, version, number.
        self._length_at = self._rows_at + 12 + len(_string(column.group)) + 13 + 8
        # Before the shape of a tile and two numbers.
        self._cube_rows_at = len(self._content) - 8 - shape_bytes - 4

    def with_rows(self, rows: int) -> bytearray:
        """Return the header for so many rows; valid until the next call."""
        struct.pack_into(">I", self._content, self._rows_at, rows)
        struct.pack_into(">Q", self._content, self._length_at, self._tiling.file_bytes(rows))
        struct.pack_into(">I", self._content, self._cube_rows_at, rows)
        return self._content


def check_tiled_header(column: TiledColumn, written: bytes) -> None:
    """Raise OutputError unless casacore wrote the header that `tiled_header` makes for one row."""
    if written != tiled_header(column, 1, wide=False):
        raise _unknown_form(f"the header of {column.name}")


def _unknown_form(what: str) -> OutputError:
    return OutputError(
        f"this version of casacore writes {what} in a form that is not known: "
        "python-casacore 3.7 or 3.8 was expected"
    )


def _type_name(column: TiledColumn) -> str:
    return "?" if column.dtype.kind == "b" else column.dtype.newbyteorder("<").str


def _uint(value: int) -> bytes:
    return struct.pack(">I", value)


def _string(text: str) -> bytes:
    return _uint(len(text)) + text.encode("ascii")


def _object(name: str, version: int, body: bytes) -> bytes:
    content = _string(name) + _uint(version) + body
    # The length counts itself.
    return _uint(len(content) + 4) + content


def _shape(shape: tuple[int, ...]) -> bytes:
    lengths = b"".join(_uint(length) for length in shape)
    return _object("IPosition", 1, _uint(len(shape)) + lengths)
