"""Text of a table that is not UTF-8, as older programs wrote it."""

from __future__ import annotations

from typing import Any


def read_cell(table: Any, column: str, row: int) -> Any:
    """Read a cell of any kind; a text as `read_text` does."""
    if table.coldatatype(column) == "string" and table.isscalarcol(column):
        return read_text(table, column, row)
    return table.getcell(column, row)


def read_text(table: Any, column: str, row: int) -> str:
    """Read a text; bytes that are not UTF-8 become U+FFFD.  Only on the casacore thread."""
    try:
        return str(table.getcell(column, row))
    except UnicodeDecodeError as error:
        # What casacore's binding could not decode is all there is of the cell's text.
        return error.object.decode("utf-8", "replace")


def read_texts(table: Any, column: str) -> list[str]:
    """Read a column of texts as `read_text` does."""
    try:
        return [str(text) for text in table.getcol(column)]
    except UnicodeDecodeError:
        return [read_text(table, column, row) for row in range(table.nrows())]
