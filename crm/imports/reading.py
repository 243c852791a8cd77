"""From the bytes of a sheet to rows of texts: CSV in any usual encoding and separator, XLSX. Pure: no database, no web.

Nothing in a sheet is ever run: a formula of a workbook gives the value it had when it was saved, one of a CSV file is text.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from crm.forms import clean

MOST_ROWS, MOST_COLUMNS = 100_000, 100
LONGEST_CELL = 40_000  # signs; a cell of Excel holds 32,767
LONGEST_GAP = 5_000  # blank rows in a row
TALL = 25  # line ends of a cell that nobody types: a quote is likely open
SEPARATORS = {";": "semicolon", ",": "comma", "\t": "tab", "|": "bar"}
SAMPLE = 40  # lines that tell the separator
# Letters that French and English sheets hold beyond ASCII; in a wrong reading others appear.
_EXPECTED = frozenset("àâäçéèêëîïôöùûüÿœæÀÂÄÇÉÈÊËÎÏÔÖÙÛÜŸŒÆ’‘“”«»…–—•€°²ª· \u00a0\u202f")
_OF_ONE_BYTE = ("cp1252", "mac_roman", "cp850")
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


_FORMULAS = frozenset("=+-@")


class SheetError(Exception):
    """A sheet that cannot be read. `reason` is a key of the texts `imports.sheet.*`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Sheet:
    """What a sheet holds: the titles of its columns and its rows, each with its number as people see it, the first line being 1.

    `rows` is read once, and raises SheetError when the sheet turns out to be broken further on. `told` says how it was read.
    """

    titles: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]
    told: dict[str, Any]


def read_csv(content: bytes) -> Sheet:
    """Read a CSV file. Raises SheetError when there is no table in it."""
    text, encoding, mixed = decoded(content)
    told_by_excel = re.match(r"sep=(.)\r?\n", text)
    separator = told_by_excel[1] if told_by_excel else separator_of(text)
    start = told_by_excel.end() if told_by_excel else 0
    lines = csv.reader(io.StringIO(text[start:], newline=""), delimiter=separator)
    rows = _numbered(_each_line(lines))
    told = {"encoding": encoding, "separator": SEPARATORS.get(separator, "other"), "mixed": mixed}
    return _with_titles(rows, told)


def _each_line(lines: Any) -> Iterator[Sequence[str]]:
    csv.field_size_limit(10_000_000)
    try:
        yield from lines
    except csv.Error:
        raise SheetError("broken") from None


def decoded(content: bytes) -> tuple[str, str, int]:
    """The text of a file, the encoding it was read in, and how many of its lines were in another than the rest.

    >>> decoded("Métier".encode()), decoded("Métier".encode("cp1252")), decoded("Métier".encode("mac_roman"))
    (('Métier', 'utf-8', 0), ('Métier', 'cp1252', 0), ('Métier', 'mac_roman', 0))
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding), encoding.removesuffix("-sig"), 0
            except UnicodeDecodeError:
                if encoding == "utf-16":
                    raise SheetError("broken") from None
                content = content.removeprefix(mark)
    try:
        return content.decode("utf-8"), "utf-8", 0
    except UnicodeDecodeError:
        pass
    other = max(_OF_ONE_BYTE, key=lambda name: _likely(content, name))
    lines = content.split(b"\n")
    read, foreign, utf8 = list[str](), 0, 0
    for line in lines:
        try:
            read.append(line.decode("utf-8"))
            utf8 += not line.isascii()
        except UnicodeDecodeError:
            read.append(line.decode(other, "replace"))
            foreign += 1
    if not utf8:
        return "\n".join(read), other, 0
    return "\n".join(read), "utf-8" if utf8 >= foreign else other, min(utf8, foreign)


def _likely(content: bytes, encoding: str) -> float:
    """How much of what is not ASCII looks like French or English when it is read so."""
    strange = bytes(sign for sign in content if sign >= 0x80)[:20_000]
    found = strange.decode(encoding, "replace")
    return sum(sign in _EXPECTED for sign in found) / max(len(found), 1)


def separator_of(text: str) -> str:
    r"""The separator with which the first lines have most columns, the same number on most of them.

    >>> separator_of('nom;courriel\n"A, B";a@b.ca\n'), separator_of("a,b,c\n1,2,3"), separator_of("a\tb")
    (';', ',', '\t')
    """
    some = "\n".join(text.splitlines()[:SAMPLE])

    def regular(separator: str) -> tuple[float, int]:
        try:
            widths = Counter(len(row) for row in csv.reader(io.StringIO(some), delimiter=separator) if any(row))
        except csv.Error:
            return 0, 0
        width, often = max(widths.items(), key=lambda one: (one[1] if one[0] > 1 else 0, one[0]), default=(0, 0))
        return (often / widths.total() if width > 1 else 0), width

    return max(SEPARATORS, key=regular)


def read_xlsx(content: bytes) -> Sheet:
    """Read the first sheet of a workbook that holds something. Raises SheetError when there is none.

    The content must have been inspected: `crm.files` refuses what unpacks to far more than it weighs.
    """
    import openpyxl  # noqa: PLC0415 - read only when somebody brings a workbook

    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    except Exception as error:
        raise SheetError("broken") from error
    for sheet in book.worksheets:
        if sheet.sheet_state != "visible":
            continue
        sheet.reset_dimensions()  # some programs write a wrong size, which would hide rows
        rows = _numbered(_each_row(sheet))
        try:
            found = _with_titles(rows, {"sheet": sheet.title, "others": len(book.worksheets) - 1})
        except SheetError as error:
            if error.reason == "empty":
                continue
            raise
        return found
    raise SheetError("empty")


def _each_row(sheet: Any) -> Iterator[Sequence[str]]:
    try:
        for row in sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS + 1):
            yield [as_text(value) for value in row]
    except SheetError:
        raise
    except Exception as error:  # whatever a broken workbook makes a reader say
        raise SheetError("broken") from error


def as_text(value: Any) -> str:
    """A cell of a workbook as the text that means the same.

    >>> [as_text(value) for value in (None, 5145550142.0, 2.5, datetime(2026, 3, 1), True, "Coop ")]
    ['', '5145550142', '2.5', '2026-03-01', '1', 'Coop ']
    """
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case float():
            return str(int(value)) if value.is_integer() else str(value)
        case datetime():
            return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ", timespec="minutes")
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _numbered(lines: Iterable[Sequence[str]]) -> Iterator[tuple[int, list[str]]]:
    """Lines that hold something, cleaned, with their number. A sheet ends where nothing comes for long: some have a million blank rows."""
    last = 0
    for number, line in enumerate(lines, 1):
        row = [cleaned(cell) for cell in line]
        while row and not row[-1]:
            row.pop()
        if row:
            last = number
            yield number, row
        elif number > last + LONGEST_GAP:
            return


def seen(typed: str) -> str:
    """A text without blanks around it nor signs that no database holds."""
    return str(clean(_UNSEEN.sub("", typed)))


def cleaned(cell: str) -> str:
    r"""A cell without blanks around it, signs that no database holds, nor the apostrophe that keeps a formula from living.

    Raises SheetError for a cell longer than any sheet has: a quote was opened and never closed.

    >>> cleaned(" Coop\x00 "), cleaned("'+1 514 555-0142"), cleaned("'ti-cul")
    ('Coop', '+1 514 555-0142', "'ti-cul")
    """
    if len(cell) > LONGEST_CELL:
        raise SheetError("cell")
    found = seen(cell)
    return found[1:] if found[:1] == "'" and found[1:].lstrip()[:1] in _FORMULAS else found


def _with_titles(rows: Iterator[tuple[int, list[str]]], told: dict[str, Any]) -> Sheet:
    """The first line that names two columns or more is that of the titles: what stands above is a heading of the sheet."""
    for number, row in rows:
        if number > SAMPLE:
            break
        if len([cell for cell in row if cell]) < 2:
            continue
        if len(row) > MOST_COLUMNS:
            raise SheetError("wide")
        return Sheet(tuple(row), _below(rows), told | {"titles_on": number})
    raise SheetError("empty")


def _below(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    for many, row in enumerate(rows, 1):
        if many > MOST_ROWS:
            raise SheetError("long")
        yield row
