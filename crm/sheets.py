"""Writing sheets that people open in Excel or LibreOffice: CSV and XLSX. Nothing in them ever runs, and one bad character spoils none.

Source of the rule on formulas: security reference, T6.
"""

import csv
import io
import re
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import IO, Any

Value = str | int | date | datetime | None
LONGEST = 32_767  # signs that a cell of Excel holds
BOM = "\ufeff"  # without it Excel reads accents wrong
_LIVE = "=+-@"  # what a spreadsheet would run, blanks before it or not
_LEADING = "\t\r\x00"
# What XML cannot hold, and halves of characters that UTF-8 cannot.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_BLANKS = " \t\r\n\x00\u00a0\u202f\u200b\ufeff"


def plain(value: object) -> str:
    """A text as any sheet can hold it: what cannot be written becomes a mark, and no more signs than a cell has room for."""
    return _UNWRITABLE.sub("\ufffd", str(value))[:LONGEST]


def harmless(value: object) -> str:
    """A text for CSV, where a sheet would run what looks like a formula: an apostrophe before it makes it a text.

    >>> harmless(" =1+1"), harmless("Coop")
    ("' =1+1", 'Coop')
    """
    text = str(value)
    live = text[:1] in _LEADING or text.lstrip(_BLANKS)[:1] in _LIVE
    text = plain(text)
    return f"'{text}" if text and live and text.lstrip(_BLANKS) else text


def write_csv(file: IO[bytes], rows: Iterable[Sequence[Value]], separator: str = ",") -> int:
    """Rows, the first being their heads, as CSV in UTF-8 with its mark. Returns how many rows below the heads.

    `separator` is the one that the reader's Excel expects: ";" in French.
    """
    written = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    written.write(BOM)
    out = csv.writer(written, delimiter=separator)
    taken = -1  # the heads are no row
    for taken, row in enumerate(rows):  # noqa: B007
        out.writerow([_in_csv(value) for value in row])
    written.flush()
    written.detach()  # the file stays its opener's
    return max(taken, 0)


def _in_csv(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, int) else harmless(value)


def write_xlsx(file: IO[bytes], title: str, rows: Iterable[Sequence[Value]]) -> int:
    """Rows, the first being their heads, as a sheet of a workbook; dates are dates and texts are texts. Returns how many rows below the heads.

    Memory does not grow with the rows. Times are written as they are given, without a zone.
    """
    with tempfile.TemporaryDirectory() as folder:  # what is on its way is gone with it, however it ends
        return _write_xlsx(file, title, rows, folder)


def _write_xlsx(file: IO[bytes], title: str, rows: Iterable[Sequence[Value]], folder: str) -> int:
    import xlsxwriter  # noqa: PLC0415 - read only when somebody asks for a workbook

    how = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "tmpdir": folder}
    book = xlsxwriter.Workbook(file, how)
    sheet = book.add_worksheet(re.sub(r"[\[\]:*?/\\']", " ", title)[:31])
    head = book.add_format({"bold": True, "bottom": 1})
    times: dict[type, Any] = {
        date: book.add_format({"num_format": "yyyy-mm-dd"}),
        datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
    }
    last = -1
    for last, row in enumerate(rows):
        if last == 0:
            for place, value in enumerate(row):
                sheet.set_column(place, place, min(max(len(str(value)) + 2, 12), 40))
            sheet.freeze_panes(1, 1)
        for place, value in enumerate(row):
            _put(sheet, (last, place), value, head if last == 0 else None, times)
    book.close()
    return max(last, 0)


def _put(sheet: Any, cell: tuple[int, int], value: Value, style: Any, times: dict[type, Any]) -> None:
    if value is None or value == "":
        return
    if isinstance(value, datetime):
        sheet.write_datetime(*cell, value.replace(tzinfo=None), times[datetime])
    elif isinstance(value, date):
        sheet.write_datetime(*cell, value, times[date])
    elif isinstance(value, int):
        sheet.write_number(*cell, value)
    else:
        sheet.write_string(*cell, plain(value), style)
