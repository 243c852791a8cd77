"""Sheets as people save them: any usual encoding and separator, ragged, broken, wrong, huge."""

import contextlib
import io
import unicodedata
import zipfile
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.imports.fields import Plan, known_words, nearest, order_of_days, read_date, read_row, split
from crm.imports.reading import MOST_ROWS, SheetError, decoded, read_csv, read_xlsx
from tests.imports.sheets import MESSY, TITLES, csv_of, messy, xlsx_of

FRENCH = [
    ["Nom", "Ville"],
    ["Zoé L’Érable", "Montréal « Île »"],
    ["Hélène Côté", "Trois-Rivières"],
    ["Noël Œuvre", "Québec"],
]
NOTHING = Plan({})


def read(content):
    sheet = read_csv(content)
    return [list(sheet.titles), *(row for _, row in sheet.rows)]


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "mac_roman"])
def test_any_usual_encoding_and_separator(encoding, separator):
    assert read(csv_of(FRENCH, encoding, separator)) == FRENCH


def test_what_ms_dos_wrote():
    rows = [["Nom", "Ville"], ["Hélène Côté", "Trois-Rivières"], ["Noël Bégin", "Québec"]]
    assert read(csv_of(rows, "cp850")) == rows


def test_a_file_in_two_encodings_keeps_every_accent_and_says_how_many_lines_were_foreign():
    content = (
        csv_of(FRENCH[:2], "utf-8") + b"\r\n" + csv_of(FRENCH[2:3], "cp1252") + b"\r\n" + csv_of(FRENCH[3:], "utf-8")
    )
    assert read(content) == FRENCH
    assert decoded(content)[2] == 1


def test_lines_are_numbered_as_a_sheet_numbers_them():
    sheet = read_csv(messy())
    assert sheet.titles == tuple(TITLES)
    assert sheet.told["titles_on"] == 3
    assert [line for line, _ in sheet.rows] == [4, 5, 6, 7, 8, 10, 11, 12, 13]


def test_the_separator_that_excel_writes_on_top_is_believed():
    assert read(b"sep=;\r\nNom;Ville\r\nA,B;C") == [["Nom", "Ville"], ["A,B", "C"]]


def test_a_cell_over_several_lines_is_one_cell():
    assert read(b'Nom;Note\n"A";"un\ndeux; trois ""quatre"""\n') == [["Nom", "Note"], ["A", 'un\ndeux; trois "quatre"']]


def test_a_workbook_says_the_same_as_the_file(tmp_path):
    sheet = read_xlsx(xlsx_of([["Suivi"], TITLES, *MESSY]))
    assert sheet.titles == tuple(TITLES)
    first = next(sheet.rows)[1]
    assert first[: len(MESSY[0])] == [" ".join(cell.split(" ")) for cell in MESSY[0]]


def test_numbers_and_days_of_a_workbook_are_read_as_they_are_shown():
    sheet = read_xlsx(xlsx_of([["Nom", "Tél", "Le"], ["A", 5145550142, date(2025, 3, 4)]]))
    assert [row for _, row in sheet.rows] == [["A", "5145550142", "2025-03-04"]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"un seul mot\n" * 9, "empty"),
        (b"\xff\xfe\x00", "broken"),
        (b";".join([b"t"] * 200), "wide"),
    ],
)
def test_what_holds_no_table_is_refused_in_words(content, reason):
    with pytest.raises(SheetError) as refused:
        list(read_csv(content).rows)
    assert refused.value.reason == reason


def test_a_quote_that_never_closes_is_told_rather_than_swallowing_rows():
    with pytest.raises(SheetError) as refused:
        list(read_csv(b'Nom;Note\n"A";"un\n' + b"Bob;deux\n" * 9000).rows)
    assert refused.value.reason == "cell"


def test_a_workbook_whose_only_row_is_the_ten_millionth_is_not_walked_through():
    file = io.BytesIO(xlsx_of([["Nom", "Ville"], ["A", "B"]]))
    with zipfile.ZipFile(file) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(b'r="2"', b'r="10000000000000"').replace(b'r="A2"', b'r="A10000000000000"')
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as book:
        for name, content in parts.items():
            book.writestr(name, content)
    assert list(read_xlsx(changed.getvalue()).rows) == []


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04" + b"x" * 500])
def test_what_is_no_workbook_is_refused_in_words(content):
    with pytest.raises(SheetError) as refused:
        read_xlsx(content)
    assert refused.value.reason == "broken"


def test_a_workbook_that_is_another_archive_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "rien")
    with pytest.raises(SheetError):
        read_xlsx(file.getvalue())


def test_too_long_a_sheet_is_refused_when_its_end_is_not_reached():
    with pytest.raises(SheetError) as refused:
        list(read_csv(b"a;b\n" + b"1;2\n" * (MOST_ROWS + 1)).rows)
    assert refused.value.reason == "long"


@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_whatever_the_bytes_there_is_a_table_or_a_reason(content):
    with contextlib.suppress(SheetError):  # anything else fails
        for _, row in read_csv(content).rows:
            assert all("\x00" not in cell for cell in row)


@settings(max_examples=100)
@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8), min_size=3, max_size=3),
        min_size=2,
        max_size=6,
    )
)
def test_a_table_written_is_read_again(rows):
    rows = [["Un", "Deux", "Trois"], *rows]
    for separator in (";", ","):
        assert read(csv_of(rows, "utf-8-sig", separator)) == [
            [unicodedata.normalize("NFC", cell) for cell in row] for row in rows
        ]


# --- cells -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "days", "wanted"),
    [
        ("2025-03-04", "mdy", date(2025, 3, 4)),
        ("2025/3/4", "dmy", date(2025, 3, 4)),
        ("04/03/2025", "dmy", date(2025, 3, 4)),
        ("04/03/2025", "mdy", date(2025, 4, 3)),
        ("25/03/2025", "mdy", None),
        ("4.3.25", "dmy", date(2025, 3, 4)),
        ("1er mars 2025", "dmy", date(2025, 3, 1)),
        ("le 4 août 2025", "dmy", date(2025, 8, 4)),
        ("March 4th, 2025", "dmy", date(2025, 3, 4)),
        ("04-févr.-25", "dmy", date(2025, 2, 4)),
        ("2025-03-04 14:30", "dmy", date(2025, 3, 4)),
        ("45720", "dmy", date(2025, 3, 4)),
        ("24-05-13", "dmy", None),
        ("24-05-13", "ymd", date(2024, 5, 13)),
        ("99-05-13", "dmy", date(2099, 5, 13)),
        ("13/05/24", "dmy", date(2024, 5, 13)),
        ("2026-03-04T10:30:00Z", "dmy", date(2026, 3, 4)),
        ("20260304", "dmy", date(2026, 3, 4)),
        ("mar. 4 mars 2026", "dmy", date(2026, 3, 4)),
        ("31/02/2025", "dmy", None),
        ("2025", "dmy", None),
        ("mars 2025", "dmy", None),
        ("514 555-0142", "dmy", None),
        ("hier", "dmy", None),
        ("٠٤/٠٣/٢٠٢٥", "dmy", None),
    ],
)
def test_a_day_however_it_is_written(cell, days, wanted):
    assert read_date(cell, days) == wanted


def test_the_order_of_days_is_told_by_a_cell_that_has_only_one_reading():
    assert order_of_days(["03/04/2025", "03/25/2025"]) == "mdy"
    assert order_of_days(["03/04/2025", "25/03/2025"]) == "dmy"
    assert order_of_days(["03/04/2025"]) == "dmy"
    assert order_of_days(["24-05-13", "99-01-02"]) == "ymd"
    assert order_of_days(["24-05-13"]) == "dmy"


def test_words_are_split_and_the_nearest_of_ours_is_offered():
    assert split("plan d’affaires ; financement/gouvernance") == ["plan d’affaires", "financement", "gouvernance"]
    labels = {"coop_work": ["Coopérative de travail", "Worker co-op"], "npo": ["OBNL", "Non-profit"]}
    assert nearest("Coopérative de travail (fédérale)", labels) == "coop_work"
    assert nearest("vélo", labels) == ""


TODAY = date(2026, 11, 26)
KNOWN = known_words(
    {
        "stage": {"contact": ["Premier contact", "First contact"], "closed": ["Fermé", "Closed"], "paused": ["En pause", "Paused"]},
        "closing_reason": {"answered": ["Réponse donnée", "Answered"]},
        "needs": {"funding": ["Financement", "Funding"], "legal": ["Juridique", "Legal"]},
        "language": {}, "owner": {"7": ["Amélie Tremblay"]}, "source": {}, "sector": {}, "project_stage": {}, "legal_form": {},
        "region": {"13": ["Laval"]}, "locality": {"verdun": ["Verdun"]},
    }
)  # fmt: skip


def reading(**cells):
    names = list(cells)
    return read_row(list(cells.values()), names, Plan(dict(enumerate(names))), KNOWN, TODAY)


def test_what_cannot_be_read_is_kept_as_a_remark_and_loses_nothing():
    row = reading(
        name="Zoé",
        email="zoe@exemple.ca",
        phone="pas de téléphone",
        next_step_on="bientôt",
        neq="12",
        needs="argent, magie",
    )
    assert not row.faults
    assert row.values["phone"] == ("", "")
    assert row.values["needs"] == ["funding"]
    assert row.remarks == [
        ("phone", "pas de téléphone"),
        ("neq", "12"),
        ("needs", "magie"),
        ("next_step_on", "bientôt"),
    ]
    assert row.values["notes"] == row.remarks


def test_a_name_too_long_is_cut_and_kept_whole_in_a_note():
    row = reading(name="x" * 300, email="zoe@exemple.ca")
    assert len(row.values["name"]) == 120
    assert ("name", "x" * 300) in row.values["notes"]


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ({"name": "", "email": "a@exemple.ca"}, ("empty", "name", "")),
        ({"name": "Zoé", "phone": "aucun"}, ("reach", "email", "")),
        ({"name": "Zoé", "email": "a@exemple.ca", "received": "hier"}, ("date", "received", "hier")),
        ({"name": "Zoé", "email": "a@exemple.ca", "received": "2027-01-01"}, ("future", "received", "2027-01-01")),
        ({"name": "Zoé", "stage": "Fermé"}, ("empty", "closing_reason", "")),
        (
            {
                "name": "Zoé",
                "stage": "Closed",
                "closing_reason": "answered",
                "received": "2025-03-04",
                "closed": "2025-01-01",
            },
            ("order", "closed", "2025-01-01"),
        ),
    ],
)
def test_a_row_of_which_no_file_can_be_made_says_why(cells, fault):
    assert reading(**cells).faults == [fault]


def test_what_a_file_has_no_place_for_goes_to_a_note():
    row = reading(
        name="Zoé", email="a@exemple.ca", region="13", locality="verdun", closed="2025-01-01", closing_reason="answered"
    )
    assert row.values["notes"] == [("closed", "2025-01-01"), ("closing_reason", "answered"), ("locality", "verdun")]
    row = reading(
        name="Zoé", stage="closed", closing_reason="answered", next_step="Rappeler", next_step_on="2026-12-01"
    )
    assert row.values["notes"] == [("next_step", "Rappeler"), ("next_step_on", "2026-12-01")]


def test_a_closed_file_without_a_request_date_was_received_when_it_was_closed():
    row = reading(name="Zoé", stage="closed", closing_reason="answered", closed="2024-03-03")
    assert not row.faults
    assert row.values["received"] == row.values["closed"] == date(2024, 3, 3)


def test_a_step_too_far_ahead_goes_to_a_note():
    row = reading(name="Zoé", email="a@exemple.ca", next_step_on="2036-05-05")
    assert row.values["next_step_on"] is None
    assert row.values["notes"] == [("next_step_on", "2036-05-05")]


def test_two_colleagues_of_one_name_and_a_number_are_nobody():
    known = known_words({"owner": {"3": ["Ana Roy"], "7": ["Ana Roy"], "9": ["Bob Côté"]}})["owner"]
    assert known == {"bob cote": "9"}


def test_line_ends_do_not_stay_in_a_name():
    assert reading(name="Ana\nRoy", email="a@exemple.ca").values["name"] == "Ana Roy"


def test_a_closed_file_needs_no_way_to_reach_anybody():
    row = reading(name="Zoé", stage="fermé", closing_reason="Réponse donnée", owner="Amélie tremblay")
    assert not row.faults
    assert row.values["owner"] == "7"


def test_a_cell_beyond_the_titles_is_told():
    row = read_row(
        ["Zoé", "a@exemple.ca", "", "de trop"], ["Nom", "Courriel"], Plan({0: "name", 1: "email"}), KNOWN, TODAY
    )
    assert row.faults == [("ragged", "note", "de trop")]
