"""Tables as people have them: how they are encoded, what separates their columns, what is quoted.

A table has one separator, which the first line that is no comment shows: semicolons, tabs, commas
or blanks.  Cells may be in double quotes, as spreadsheets write them.  Encodings are UTF-8 and,
with a byte order mark, UTF-16.  What is a form of its own is refused by its name.
"""

from __future__ import annotations

import codecs
import csv
import re
from typing import TYPE_CHECKING

from receive.command.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

_MARKS = (
    # The mark of UTF-32 begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FORMS = (
    (b"PK\x03\x04", "a workbook or an archive", "save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "a workbook", "save it as CSV"),
    (b"%PDF", "a PDF document", "save its table as CSV"),
    (b"{", "JSON", "write a line for each row"),
    (b"[", "JSON", "write a line for each row"),
    (b"<", "XML or HTML", "write a line for each row"),
)
_QUOTED = re.compile(r' *("(?:[^"]|"")*") *')
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+(?:[eE][+-]?\d+)?", re.ASCII)


def read_text(path: Path, what: str) -> str:
    """Return the text of a table's file.

    Parameters
    ----------
    path
        The file.
    what
        What was expected in it, for messages: ``a table of antennas``.

    Raises
    ------
    InputError
        If it cannot be read, or is no text or a form of its own.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; expected {what}") from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        text = "\0"
        reason: Exception | None = error
    else:
        reason = None
    start = text.lstrip().encode("utf-8", "replace") if reason is None else content
    for mark, form, instead in _FORMS:
        if start.startswith(mark):
            raise InputError(f"{path}: is {form}, and {what} was expected: {instead}")
    if "\0" in text:
        raise InputError(
            f"{path}: not a text file in UTF-8: expected {what} (UTF-16 needs a byte order mark)"
        ) from reason
    return text


def separator_of(line: str) -> str | None:
    """Return what separates the columns of a table with this line; None for blanks."""
    bare = re.sub(r'"[^"]*"', "", line)
    if ";" in bare or "\t" in bare:
        return ";" if ";" in bare else "\t"
    # Numbers like 1234,5 between blanks.
    cells = bare.split()
    if len(cells) > 1 and any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells):
        return None
    return "," if "," in bare else None


def cells_of(line: str, separator: str | None, where: str) -> list[str]:
    """Return the cells of a line, without quotes and blanks around them.

    Raises
    ------
    InputError
        A quote is not closed, or a number has a decimal comma; `where` names the line.
    """
    if separator is None:
        # Of blanks any number is one separator.
        line, separator = re.sub(r'("[^"]*")|\s+', lambda match: match[1] or " ", line), " "
    else:
        line = _QUOTED.sub(r"\1", line)
    try:
        row = next(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise InputError(f"{where}: is no line of a table: {error}") from None
    cells = [cell.strip() for cell in row]
    if separator != ",":
        for cell in cells:
            if _DECIMAL_COMMA.fullmatch(cell):
                raise InputError(
                    f"{where}: {cell} has a decimal comma; expected numbers with a decimal point"
                )
    return cells


def is_number(cell: str) -> bool:
    """Tell whether a cell holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
