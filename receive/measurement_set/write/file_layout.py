"""What is to be known of a growing set: how its files are cut up, and how its headers read.

It lies in the set as JSON while the set grows, so that `ms-recover` needs nothing but it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from receive.measurement_set.tiled.headers import RowField, tiled_header
from receive.measurement_set.tiled.tiles import TiledColumn, Tiling, dump_file_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT_VERSION = 1


@dataclass(frozen=True)
class SetLayout:
    """Files of a growing set.

    Attributes
    ----------
    dump_rows : int
        Rows of an integration.
    columns : tuple of TiledColumn
        The columns whose tiles the writer lays down.
    row_fields : tuple of RowField
        Where casacore's own files hold the number of rows.
    headers : mapping of str to bytes
        Contents of these files for some number of rows, by name.
    """

    dump_rows: int
    columns: tuple[TiledColumn, ...]
    row_fields: tuple[RowField, ...]
    headers: Mapping[str, bytes]

    def column(self, name: str) -> TiledColumn | None:
        """Return a column by its name, None if the set has no such column."""
        return next((column for column in self.columns if column.name == name), None)

    def header_files(self, rows: int) -> dict[str, bytes]:
        """Return the contents of all header files for so many rows, by name.

        ``table.dat`` comes last: casacore believes it (and ``table.lock``) first.
        """
        files = {column.header_name: tiled_header(column, rows) for column in self.columns}
        for name in sorted(self.headers, reverse=True):
            files[name] = self.with_rows(name, self.headers[name], rows)
        return files

    def with_rows(self, name: str, content: bytes, rows: int) -> bytes:
        """Return the content of one of casacore's own files, changed to so many rows."""
        changed = bytearray(content)
        for field in self.row_fields:
            if field.file == name:
                changed[field.offset : field.offset + 4] = field.encode(rows)
        return bytes(changed)

    def dump_bytes(self) -> float:
        """Return the size of an integration in all tiled files, without the padding of tiles."""
        return dump_file_bytes(self.columns)

    def to_json(self) -> str:
        """Return the layout as a JSON document."""
        return json.dumps(
            {
                "format": FORMAT_VERSION,
                "dump_rows": self.dump_rows,
                "columns": [
                    {
                        "name": column.name,
                        "sequence": column.sequence,
                        "dtype": column.dtype.str,
                        "value_bits": column.tiling.value_bits,
                        "cell": column.tiling.cell,
                        "tile": column.tiling.tile,
                    }
                    for column in self.columns
                ],
                "row_fields": [
                    {"file": field.file, "offset": field.offset, "big_endian": field.big_endian}
                    for field in self.row_fields
                ],
                "headers": {
                    name: base64.b64encode(content).decode("ascii")
                    for name, content in self.headers.items()
                },
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str) -> SetLayout:
        """Read a layout back.

        Raises
        ------
        ValueError
            If the document is of another format.
        """
        document = json.loads(text)
        if document.get("format") != FORMAT_VERSION:
            raise ValueError(f"layout format {document.get('format')}, not {FORMAT_VERSION}")
        dump_rows = int(document["dump_rows"])
        return cls(
            dump_rows=dump_rows,
            columns=tuple(
                TiledColumn(
                    entry["name"],
                    entry["sequence"],
                    np.dtype(entry["dtype"]),
                    Tiling(
                        entry["value_bits"],
                        tuple(entry["cell"]),
                        tuple(entry["tile"]),
                        dump_rows,
                    ),
                )
                for entry in document["columns"]
            ),
            row_fields=tuple(RowField(**entry) for entry in document["row_fields"]),
            headers={
                name: base64.b64decode(content) for name, content in document["headers"].items()
            },
        )
