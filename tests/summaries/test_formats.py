"""All formats of a summary say the same numbers, and none of them runs or fetches anything."""

import csv
import io
import json
import re
import zipfile
from datetime import UTC, datetime

import jsonschema
import openpyxl
import page as conformance
import pypdf
import pytest
import time_machine

from crm import clock
from crm.i18n import speaking
from crm.summaries import queries, services
from crm.summaries.formats import data
from crm.summaries.models import Format
from crm.summaries.periods import Period
from tests.support.pages import words
from tests.support.summaries import published

Q3 = Period.read("2026-q3")
HOSTILE = '=1+1 #panic("x") *gras* $x$ <b>x</b> @cite "q" \\ [x]'
WRITTEN = {
    lang: {"text": f"{HOSTILE}\n\nDeuxième, 2,5 M$.", "learned": "-2+3", "missing": "Œuvrer à Montréal-Nord"}
    for lang in ("fr", "en")
}
SECTORS = ["sharing"] * 6 + ["arts"] * 7 + ["data"] * 2 + ["housing"] * 4


@pytest.fixture
def summary(make, people, session):
    with time_machine.travel(datetime(2026, 8, 3, 14, tzinfo=UTC), tick=False) as moment:
        for place, sector in enumerate(SECTORS):
            case = make.case(owner=people.adviser, email=f"p{place}@exemple.ca", name=f"P{place}")
            case.project.sector = sector
        session.commit()
        moment.move_to(clock.at_local(Q3.cut_off, 10))
        made = published(Q3, people.coordinator, people.admin, WRITTEN)
        session.commit()
        yield made


def contents(summary, form: Format) -> dict[tuple[str, str], bytes]:
    offered = [one for one in queries.files_offered(summary) if one.format is form]
    return {(one.language, one.table): services.whole(queries.file_of(summary, one.id)) for one in offered}


def reports(summary) -> dict:
    found = {}
    for lang in ("fr", "en"):
        with speaking(lang):
            found[lang] = services.report_of(summary)
    return found


def test_every_format_says_what_the_page_says(summary, people, signed_in):
    page = words(signed_in(people.observer).get("/staff/summaries/2026-q3").text)
    document = json.loads(contents(summary, Format.JSON)[("", "")])
    books = {
        lang: openpyxl.load_workbook(io.BytesIO(one)) for (lang, _t), one in contents(summary, Format.XLSX).items()
    }
    sheets = contents(summary, Format.CSV)
    printed = {lang: text_of(one) for (lang, _t), one in contents(summary, Format.PDF).items()}
    for lang, report in reports(summary).items():
        told = {(one["code"]): one for one in document["figures"]}
        in_csv = {row[1]: row for row in rows_of(sheets[lang, "figures"], lang)}
        in_book = {row[1]: row for row in books[lang].worksheets[0].iter_rows(values_only=True)}
        for line in report.lines:
            assert told[line.code]["value"] == line.value
            assert told[line.code]["said"][lang] == line.said
            assert in_csv[line.name][2] == ("" if line.value is None else f"{line.value:g}")
            assert in_csv[line.name][4] == line.said
            shown = line.value / 100 if line.unit == "percent" and line.value is not None else line.value
            assert in_book[line.name][2] == shown
            assert in_book[line.name][4] == line.said
            assert squeezed(f"{line.name}{line.said}") in squeezed(printed[lang])
            assert lang == "fr" or f"{line.name} " in page
        tables = {one["code"]: one for one in document["tables"]}
        assert [grid.code for grid in report.grids] == list(tables)
        for grid in report.grids:
            rows = {row[0]: row[1] for row in rows_of(sheets[lang, grid.code], lang)}
            book = next(one for one in books[lang].worksheets if one["A1"].value == grid.name)
            cells = {row[0]: row[1] for row in book.iter_rows(values_only=True)}
            assert [row["code"] for row in tables[grid.code]["rows"]] == [row.code for row in grid.rows]
            assert tables[grid.code]["total"] == grid.total
            for row, one in zip(grid.rows, tables[grid.code]["rows"], strict=True):
                assert one["value"] == row.value
                assert one["name"][lang] == row.name
                assert rows[row.name] == ("" if row.value is None else str(row.value))
                assert cells[row.name] == (row.value / 100 if grid.unit == "percent" else row.value)
                assert squeezed(f"{row.name}{row.said}") in squeezed(printed[lang])
    assert len([grid for grid in report.grids if grid.rows]) > 5


def rows_of(content: bytes, lang: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter={"fr": ";", "en": ","}[lang]))


def text_of(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)


def squeezed(said: str) -> str:
    """Without blanks and hyphens, which a line's end moves or adds."""
    return re.sub(r"[\s\u00a0\u202f\u00ad\u2010-]", "", said)


def test_the_json_holds_what_its_schema_says(summary):
    document = json.loads(contents(summary, Format.JSON)[("", "")])
    schema = json.loads(data.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert not list(validator.iter_errors(document))
    document["figures"][0]["value"] = -1
    document["tables"][0]["rows"].append({"code": "x"})
    assert len(list(validator.iter_errors(document))) > 1


def test_the_schema_is_published(people, signed_in):
    assert json.loads(signed_in(people.observer).get("/staff/summaries/schema").text) == json.loads(data.schema())


def test_a_workbook_has_native_charts_and_nothing_that_hides_or_runs(summary):
    for content in contents(summary, Format.XLSX).values():
        book = openpyxl.load_workbook(io.BytesIO(content))
        assert all(sheet.sheet_state == "visible" for sheet in book.worksheets)
        cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
        assert not [cell.coordinate for cell in cells if cell.data_type == "f"]
        assert not [cell.coordinate for cell in cells if cell.hyperlink]
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
        assert [name for name in names if name.startswith("xl/charts/chart")]
        assert not [name for name in names if "vba" in name.lower() or "externalLink" in name]


def test_a_pdf_is_tagged_in_its_language_with_its_fonts(summary):
    for (lang, _table), content in contents(summary, Format.PDF).items():
        read = pypdf.PdfReader(io.BytesIO(content))
        root = read.trailer["/Root"]
        assert root["/MarkInfo"]["/Marked"]
        assert root["/Lang"] == f"{lang}-CA"
        assert root["/ViewerPreferences"]["/DisplayDocTitle"]
        assert "/StructTreeRoot" in root
        assert b"pdfuaid:part" in content
        tags, alternatives = structure(root["/StructTreeRoot"])
        assert {"/H1", "/H2", "/H3", "/Table", "/TH", "/TD", "/Figure", "/L"} <= tags
        assert alternatives
        fonts = [font for page in read.pages for font in page["/Resources"].get("/Font", {}).values()]
        assert fonts
        assert "/JavaScript" not in str(root)
        assert b"/URI" not in content


def test_a_pdf_conforms_to_the_standard_of_accessible_ones(summary):
    """ISO 14289-1, by a checker that did not make the file and that finds what is wrong with the same file without its language or its tags."""
    for content in contents(summary, Format.PDF).values():
        told = conformance.validate_pdf_bytes(content, profile=conformance.ValidationProfile.PDF_UA_1)
        assert told.rules.total > 100
        assert [(one.rule_id, one.message) for one in told.failures] == []
        for key in ("/Lang", "/StructTreeRoot"):
            broken = pypdf.PdfWriter(io.BytesIO(content), full=True)
            del broken.root_object[key]
            written = io.BytesIO()
            broken.write(written)
            assert not conformance.is_pdf_compliant_bytes(written.getvalue(), profile="ua1")


def structure(root) -> tuple[set[str], list[str]]:
    """The kinds of a document's tags, and what its pictures say."""
    tags: set[str] = set()
    alternatives: list[str] = []
    waiting = [root]
    while waiting:
        one = waiting.pop()
        one = one.get_object() if hasattr(one, "get_object") else one
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            if "/S" in one:
                tags.add(str(one["/S"]))
                if one["/S"] == "/Figure":
                    alternatives.append(str(one["/Alt"]))
            if "/K" in one:
                waiting.append(one["/K"])
    return tags, alternatives


def test_what_somebody_wrote_is_never_read_as_markup(summary, people, signed_in):
    for (_lang, _table), content in contents(summary, Format.PDF).items():
        assert squeezed('=1+1#panic("x")*gras*$x$<b>x</b>@cite"q"\\[x]') in squeezed(text_of(content))
    assert (
        HOSTILE.strip()[:10]
        in json.loads(contents(summary, Format.JSON)[("", "")])["written"]["fr"][0]["paragraphs"][0]
    )
    assert "<b>x</b>" not in signed_in(people.observer).get("/staff/summaries/2026-q3").text


def test_charts_fetch_and_run_nothing(summary):
    drawn = contents(summary, Format.SVG)
    assert drawn
    for content in drawn.values():
        svg = content.decode()
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|href=|url\(http|@import", svg)
        names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert set(re.findall(r"https?://[^\"' ]+", svg)) <= names


def test_a_file_is_handed_out_under_a_name_that_says_what_it_is(summary, people, signed_in):
    committee = signed_in(people.observer)
    found = {one.format: one for one in queries.files_offered(summary) if one.language == "fr"}
    answer = committee.get(f"/staff/summaries/2026-q3/files/{found[Format.PDF].id}")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="summary-2026-q3-fr.pdf"'
    assert answer.content_type == "application/pdf"
    drawn = committee.get(f"/staff/summaries/2026-q3/files/{found[Format.SVG].id}")
    assert drawn.content_type.startswith("image/svg+xml")
    committee.get(f"/staff/summaries/2026-q2/files/{found[Format.PDF].id}", status=404)
    committee.get("/staff/summaries/2026-q3/files/999999", status=404)
