"""Sheets that open whole in a spreadsheet, whatever people typed, and run nothing of it."""

import csv
import io
from datetime import UTC, date, datetime

import pytest
from openpyxl import load_workbook

from crm.sheets import BOM, LONGEST, harmless, write_csv, write_xlsx

HEADS = ["Nom", "Jour", "Nombre"]
LIVE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\x00=1", " =1", "\u00a0=1", "\ufeff=1", "-cmd|' /C calc'!A0"]


def as_csv(*rows, separator=","):
    file = io.BytesIO()
    assert write_csv(file, [HEADS, *rows], separator) == len(rows)
    text = file.getvalue().decode()
    assert text.startswith(BOM)
    return list(csv.reader(io.StringIO(text[1:]), delimiter=separator))[1:]


def as_xlsx(*rows):
    file = io.BytesIO()
    assert write_xlsx(file, "Liste: [1]/2", [HEADS, *rows]) == len(rows)
    return list(load_workbook(file).active.iter_rows(min_row=2))


@pytest.mark.parametrize("typed", LIVE, ids=repr)
def test_what_looks_like_a_formula_is_a_text(typed):
    ((cell, *_),) = as_csv([typed, None, None])
    assert cell.startswith("'")
    ((cell, *_),) = as_xlsx([typed, None, None])
    assert cell.data_type in {"s", "inlineStr"}
    assert cell.value.lstrip("\ufffd") == typed.replace("\x00", "").replace("\r", "\n") or "1" in cell.value


@pytest.mark.parametrize("typed", ["Zoé", "l’école – d’été", "5 - 3", 'œ, "x"\n; y\'', "日本 🐝"])
def test_ordinary_text_is_left_as_it_is(typed):
    assert harmless(typed) == typed
    ((cell, *_),) = as_csv([typed, None, None], separator=";")
    assert cell == typed
    ((cell, *_),) = as_xlsx([typed, None, None])
    assert (cell.value or "") == typed


def test_one_bad_character_spoils_nothing():
    bad = "a\ud800b\x0bc\uffff" + "x" * 40_000
    (first, second) = as_csv([bad, None, None], ["suite", None, None])
    assert (first[0][:6], len(first[0]), second[0]) == ("a\ufffdb\ufffdc\ufffd", LONGEST, "suite")
    (first, second) = as_xlsx([bad, None, None], ["suite", None, None])
    assert (first[0].value[:6], second[0].value) == ("a\ufffdb\ufffdc\ufffd", "suite")


def test_days_and_numbers_are_what_they_are():
    row = [datetime(2026, 11, 25, 14, 5, tzinfo=UTC), date(2026, 2, 28), 12]
    assert as_csv(row) == [["2026-11-25 14:05", "2026-02-28", "12"]]
    ((instant, day, number),) = as_xlsx(row)
    assert (instant.value, day.value, number.value) == (
        datetime(2026, 11, 25, 14, 5),  # noqa: DTZ001 - sheets know no zone
        datetime(2026, 2, 28),  # noqa: DTZ001
        12,
    )
    assert day.number_format == "yyyy-mm-dd"
