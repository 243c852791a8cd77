"""Documents beside a request and on a file: kept, sealed, given to whom they belong to, forgotten; the text never waits for them."""

import io
import os
import random
import re
import stat
import time
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select, text, update

from crm import clock
from crm.cases.models import Case
from crm.cases.services import advance, restrict
from crm.cases.vocabulary import ClosingReason, Stage
from crm.content.editing import newest_fact
from crm.db import db
from crm.files import services as files
from crm.files.kinds import MOST_FROM_A_NETWORK
from crm.files.models import StoredFile
from crm.intake.drafts import destroy_old
from crm.outbox.models import Message
from crm.texts.published import forget
from crm.timeline.models import Event, EventDetail
from tests.portal.test_page import HOME, inside
from tests.support import papers
from tests.support.asking import CHECK, begin, fill
from tests.support.factories import ANSWERS
from tests.support.pages import HOST, Pages, words

PAGE = {"fr": "/fr/demande/documents", "en": "/en/request/documents"}
PLAN = ("Plan d’affaires.pdf", papers.pdf())
PHOTO = ("photo.jpg", papers.jpeg())
SCRIPT = ("formulaire.pdf", papers.pdf_with_script())


def attach(browser, address, *sent, status=303, **pressed):
    """Send files as a browser does, with a button pressed."""
    token = browser.token()
    data = pressed | {"csrf_token": token, "documents": [(io.BytesIO(content), name) for name, content in sent]}
    answer = browser._ask(
        browser.client.post, address, data=data, headers={"Host": HOST}, content_type="multipart/form-data"
    )
    return browser._check(answer, address, status)


def at_documents(pages, lang="fr"):
    begin(pages, lang)
    fill(pages, ANSWERS, lang)
    pages.get(PAGE[lang])
    return pages


def send(pages, lang="fr"):
    pages.get(CHECK[lang])
    return pages.get(pages.post(CHECK[lang]).headers["Location"])


def rows(session):
    session.rollback()
    return session.scalars(select(StoredFile).order_by(StoredFile.id)).all()


def on_disk(app):
    folder = app.extensions["settings"].data_dir / "files"
    return sorted(path for path in folder.glob("??/*") if path.is_file())


# --- with a request --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_documents_added_in_either_language_come_with_the_request(app, pages, people, session, lang):
    other = {"fr": "en", "en": "fr"}[lang]
    at_documents(pages, lang)
    answer = attach(pages, PAGE[lang], PLAN, _lang=other)
    assert answer.headers["Location"] == PAGE[other]
    assert PLAN[0] in words(pages.get(PAGE[other]).text)
    attach(pages, PAGE[other], PHOTO, _lang=lang)
    shown = words(pages.get(PAGE[lang]).text)
    assert PLAN[0] in shown
    assert PHOTO[0] in shown
    check = words(pages.get(CHECK[lang]).text)
    assert PLAN[0] in check
    assert PHOTO[0] in check
    send(pages, lang)
    case = session.scalars(select(Case)).one()
    kept = rows(session)
    assert [(row.case_id, row.name, row.draft_id) for row in kept] == [
        (case.id, PLAN[0], None),
        (case.id, PHOTO[0], None),
    ]
    assert files.content_of(kept[0]) == PLAN[1]
    assert papers.SECRET not in files.content_of(kept[1])
    told = session.execute(select(Event.kind, EventDetail.values).join(EventDetail).order_by(Event.id)).all()
    assert [row.values["name"] for row in told if row.kind == "document.received"] == [PLAN[0], PHOTO[0]]


def test_each_button_takes_what_was_chosen_along_and_goes_where_it_says(pages, people, session):
    at_documents(pages)
    for pressed, to in (
        ({"_add": "1"}, PAGE["fr"]),
        ({"_back": "1"}, "/fr/demande/besoins"),
        ({"_later": "1"}, "/fr/demande/plus-tard?page=documents"),
        ({}, "/fr/demande/choix"),
        ({"check": "1"}, CHECK["fr"]),
    ):
        pages.get(PAGE["fr"])
        assert attach(pages, PAGE["fr"], PLAN, **pressed).headers["Location"] == to
    assert len(rows(session)) == 5
    assert PAGE["fr"] in pages.get("/fr/demande/plus-tard?page=documents").text


def test_a_document_taken_off_is_not_sent(app, pages, people, session):
    at_documents(pages)
    attach(pages, PAGE["fr"], PLAN, PHOTO, _add="1")
    number = rows(session)[0].id
    pages.get(PAGE["fr"])
    attach(pages, PAGE["fr"], _remove=str(number))
    shown = words(pages.get(PAGE["fr"]).text)
    assert PLAN[0] not in shown
    assert PHOTO[0] in shown
    send(pages)
    assert [row.name for row in rows(session)] == [PHOTO[0]]


@pytest.mark.parametrize(("lang", "said"), [("fr", "contient du code"), ("en", "contains code")])
def test_what_is_refused_is_said_by_name_beside_what_is_kept(pages, people, session, lang, said):
    at_documents(pages, lang)
    answer = attach(pages, PAGE[lang], PLAN, SCRIPT, ("dessin.svg", b"<svg/>"), ("<b>.pdf", b""), status=422, _add="1")
    summary = words(re.search(r'(?s)<div class="error-summary".*?</div>', answer.text)[0])
    assert said in summary
    assert "formulaire.pdf" in summary
    assert "dessin.svg" in summary
    assert "<b>" not in answer.text
    assert "&lt;b&gt;.pdf" in answer.text
    assert 'id="documents-error"' in answer.text
    assert PLAN[0] in words(answer.text)
    send(pages, lang)
    assert [row.name for row in rows(session)] == [PLAN[0]]


def test_five_at_most_and_the_sixth_is_told(pages, people, session):
    at_documents(pages)
    many = [(f"plan{place}.docx", papers.docx()) for place in range(6)]
    answer = attach(pages, PAGE["fr"], *many, status=422, _add="1")
    assert "plan5.docx" in words(re.search(r'(?s)<div class="error-summary".*?</div>', answer.text)[0])
    assert len(rows(session)) == 5
    answer = attach(pages, PAGE["fr"], PLAN, status=422, _add="1")
    assert "une demande contient 5 documents au plus" in words(answer.text)
    assert len(rows(session)) == 5


def test_a_network_that_sends_too_many_still_sends_its_text(pages, people, session):
    at_documents(pages)
    session.execute(text("UPDATE rate_count SET count = :n"), {"n": MOST_FROM_A_NETWORK})
    session.commit()
    for place in range(MOST_FROM_A_NETWORK):
        assert not files_limit_reached(pages, place)
    answer = attach(pages, PAGE["fr"], PLAN, status=422, _add="1")
    assert "Réessayez dans une heure" in words(answer.text)
    assert "Nous avons bien reçu" in send(pages).text


def files_limit_reached(pages, place):
    answer = attach(pages, PAGE["fr"], (f"rien{place}.pdf", b""), status=422, _add="1")
    return "Réessayez dans une heure" in words(answer.text)


def test_without_a_choice_the_page_goes_on_or_says_what_to_do(pages, people, session):
    at_documents(pages)
    assert attach(pages, PAGE["fr"]).headers["Location"] == "/fr/demande/choix"
    attach(pages, PAGE["fr"], _add="1")
    assert "Choisissez d’abord un document" in words(pages.get(PAGE["fr"]).text)
    # A browser that sends an empty file input without a name, and a form that is not multipart.
    assert attach(pages, PAGE["fr"], ("", b"")).headers["Location"] == "/fr/demande/choix"
    assert pages.post(PAGE["fr"]).headers["Location"] == "/fr/demande/choix"
    assert not rows(session)


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_too_much_at_once_is_told_and_the_answers_are_safe(pages, people, session, lang):
    at_documents(pages, lang)
    large = [(f"gros{place}.pdf", b"%PDF-" + b"x" * 9_000_000) for place in range(3)]
    answer = attach(pages, PAGE[lang], *large, status=413)
    assert {"fr": "25 Mo au plus à la fois", "en": "25 MB at a time"}[lang] in words(answer.text).replace("\u00a0", " ")
    assert "Outilthèque de Rosemont" in pages.get(CHECK[lang]).text


@pytest.mark.parametrize("size", [100_000, 200_000, 1_000_000, 3_000_000])
def test_a_document_of_ordinary_size_arrives_whatever_its_bytes(app, pages, people, session, size):
    """Bytes of every kind, line ends among them, as in any photograph."""
    content = papers.pdf_with_stream(random.Random(size).randbytes(size))
    at_documents(pages)
    attach(pages, PAGE["fr"], ("gros.pdf", content), _add="1")
    send(pages)
    assert files.content_of(rows(session)[0]) == content


def test_a_form_too_old_names_the_documents_to_choose_again(app, pages, people, session):
    at_documents(pages)
    answer = pages._ask(
        pages.client.post, PAGE["fr"], data={"csrf_token": "ancien", "documents": (io.BytesIO(PLAN[1]), PLAN[0])},
        headers={"Host": HOST}, content_type="multipart/form-data",
    )  # fmt: skip
    assert answer.status_code == 400
    assert f"Choisissez de nouveau ces documents : {PLAN[0]}" in words(answer.text).replace("\u00a0", " ")


def test_a_document_added_after_another_tab_sent_is_told(app, pages, people, session):
    at_documents(pages)
    send(pages)
    pages.get("/fr/")
    answer = attach(pages, PAGE["fr"], PLAN)
    said = words(pages.get(answer.headers["Location"]).text)
    assert "sans ce qui suit" in said
    assert PLAN[0] in said
    assert not rows(session)


def test_a_number_is_never_used_twice(make, people, session, signed_in):
    """A stale page cannot destroy what came after, and the team hears of every document."""
    case, row = kept(make, session, people)
    first = row.id
    files.forget(row)
    session.commit()
    row = files.keep(files.Checked(PLAN[0], files.FileKind.PDF, PLAN[1]), case.id)
    session.commit()
    assert row.id > first
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    adviser.post(f"/staff/cases/{case.reference}/documents/{first}/destroy", status=404)
    assert len(rows(session)) == 1


def test_staff_are_not_held_to_the_limit_of_the_public(make, people, session, signed_in):
    case = make.case(owner=people.adviser)
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/{case.reference}")
    for _ in range(MOST_FROM_A_NETWORK + 1):
        answer = attach(adviser, f"/staff/cases/{case.reference}/documents", ("rien.pdf", b""), status=422)
    assert "est vide" in words(answer.text)


def test_elsewhere_a_form_is_as_small_as_before(app, pages, people, session):
    """Files are read where they are taken, and only as parts of a form: a plain body of that size is refused as ever."""
    at_documents(pages)
    for address, kind in (
        (PAGE["fr"], "application/x-www-form-urlencoded"),
        ("/fr/demande/projet", "multipart/form-data; boundary=x"),
    ):
        answer = pages.client.post(address, data=b"a=" + b"x" * 1_500_000, content_type=kind, headers={"Host": HOST})
        assert answer.status_code == 413
    answer = pages.client.post(
        PAGE["fr"], data={"csrf_token": "x" * 70_000, "documents": (io.BytesIO(b"x"), "x.pdf")}, headers={"Host": HOST},
        content_type="multipart/form-data",
    )  # fmt: skip
    assert answer.status_code == 413


def test_a_draft_begun_again_keeps_what_is_sent_now(app, people, session):
    """The cookie was lost: the documents go into a new draft, and the person is led to what must be answered."""
    browser = Pages(app)
    browser.get("/fr/demande")
    answer = attach(browser, PAGE["fr"], PLAN)
    assert answer.headers["Location"] == "/fr/demande/vous"
    assert len(rows(session)) == 1


# --- at rest ---------------------------------------------------------------------------------------------------------


def test_nothing_of_a_staged_document_can_be_read_without_the_secret_key(app, pages, people, session):
    at_documents(pages)
    attach(pages, PAGE["fr"], PLAN, _add="1")
    row = rows(session)[0]
    assert (row.name, row.content_key) == ("", None)
    assert b"Plan" not in row.sealed
    (path,) = on_disk(app)
    assert b"%PDF" not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(files.FileGoneError):
        files.content_of(row)


def test_bytes_changed_in_the_folder_are_not_given(app, people, make, session, signed_in):
    case, row = kept(make, session, people)
    (path,) = on_disk(app)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    adviser = signed_in(people.adviser)
    answer = adviser.get(f"/staff/cases/{case.reference}/documents/{row.id}", 404)
    assert "ne peut plus être ouvert" in words(answer.text)
    path.unlink()
    adviser.get(f"/staff/cases/{case.reference}/documents/{row.id}", 404)


def test_a_day_later_what_was_not_sent_is_gone_and_the_person_is_told(app, pages, people, session):
    at_documents(pages)
    attach(pages, PAGE["fr"], PLAN, _add="1")
    session.execute(update(StoredFile).values(added_at=clock.now() - files.STAGED_FOR))
    session.commit()
    assert "conservé 24 heures, puis détruit" in words(pages.get(PAGE["fr"]).text)
    assert "conservé 24 heures, puis détruit" in words(pages.get(CHECK["fr"]).text)
    assert files.sweep() == 1
    assert not rows(session)
    confirmation = send(pages)
    assert "parce que détruit après 24 heures" in words(confirmation.text)
    assert PLAN[0] in words(confirmation.text)
    assert session.scalar(select(func.count(Case.id))) == 1
    assert not rows(session)


def test_the_sweep_takes_bytes_that_no_row_knows_and_leaves_those_of_a_moment_ago(app, make, people, session):
    _, row = kept(make, session, people)
    (path,) = on_disk(app)
    orphans = [path.with_name(name) for name in ("0" * 32, "1" * 32 + ".part")]
    for orphan in orphans:
        orphan.write_bytes(b"x")
    assert files.sweep() == 0
    old = time.time() - files.ORPHAN_AFTER - 5
    for one in (path, *orphans):
        os.utime(one, (old, old))
    assert files.sweep() == 2
    assert on_disk(app) == [path]
    assert files.content_of(rows(session)[0]) == PLAN[1]
    files.forget(rows(session)[0])
    session.commit()
    assert files.sweep() == 1
    assert not on_disk(app)


def test_a_draft_that_is_destroyed_takes_its_documents_along(app, pages, people, session):
    at_documents(pages)
    attach(pages, PAGE["fr"], PLAN, _add="1")
    with time_machine.travel(clock.now() + timedelta(days=8), tick=False):
        assert destroy_old() == 1
        session.commit()
    assert not rows(session)


def test_without_room_the_document_is_refused_and_the_text_is_sent(app, pages, people, session, monkeypatch):
    at_documents(pages)
    monkeypatch.setattr(files, "ROOM", 1 << 62)  # more than any disk has left
    answer = attach(pages, PAGE["fr"], PLAN, status=422, _add="1")
    assert "faute de place" in words(answer.text)
    assert not on_disk(app)
    send(pages)
    assert session.scalar(select(func.count(Case.id))) == 1


def test_a_folder_that_cannot_be_written_refuses_the_document_alone(app, pages, people, session):
    """Something else stands where the folder should be: every write fails as on a broken disk."""
    at_documents(pages)
    (app.extensions["settings"].data_dir / "files").write_text("not a folder")
    answer = attach(pages, PAGE["fr"], PLAN, status=422, _add="1")
    assert "faute de place" in words(answer.text)
    send(pages)
    assert session.scalar(select(func.count(Case.id))) == 1


# --- who reads them --------------------------------------------------------------------------------------------------


def kept(make, session, people, **case):
    """A file with a document on it."""
    case = make.case(owner=people.adviser, **case)
    row = files.keep(files.Checked(PLAN[0], files.FileKind.PDF, PLAN[1]), case.id)
    session.commit()
    return case, row


def test_staff_save_a_document_and_no_browser_draws_it(people, make, session, signed_in):
    case, row = kept(make, session, people)
    adviser = signed_in(people.adviser)
    page = adviser.get(f"/staff/cases/{case.reference}")
    assert PLAN[0] in words(page.text)
    answer = adviser.get(f"/staff/cases/{case.reference}/documents/{row.id}")
    assert answer.data == PLAN[1]
    headers = answer.headers
    assert headers["Content-Type"] == "application/pdf"
    assert headers["Content-Disposition"].startswith("attachment; filename")
    assert "filename*=UTF-8''Plan%20d%E2%80%99affaires.pdf" in headers["Content-Disposition"]
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_a_document_is_reached_through_its_own_file_only(people, make, session, signed_in, app):
    case, row = kept(make, session, people)
    other = make.case(owner=people.other_adviser, email="autre@exemple.ca")
    hidden, behind = kept(make, session, people, email="cachee@exemple.ca")
    restrict(hidden, restricted=True, readers=[people.adviser.id], actor=people.coordinator)
    session.commit()
    colleague = signed_in(people.other_adviser)
    colleague.get(f"/staff/cases/{other.reference}/documents/{row.id}", 404)
    colleague.get(f"/staff/cases/{hidden.reference}/documents/{behind.id}", 404)
    colleague.get(f"/staff/cases/{case.reference}/documents/{behind.id}", 404)
    for status, address in (
        (404, f"/staff/cases/{hidden.reference}/documents"),
        (404, f"/staff/cases/{hidden.reference}/documents/{behind.id}/destroy"),
    ):
        attach(colleague, address, PLAN, status=status)
    signed_in(people.observer).get(f"/staff/cases/{case.reference}/documents/{row.id}", 404)
    Pages(app).get(f"/staff/cases/{case.reference}/documents/{row.id}", 302)
    assert len(rows(session)) == 2


def test_a_staged_document_is_read_by_nobody(people, make, pages, session, signed_in):
    """Not even by who is signed in and guesses its number."""
    at_documents(pages)
    attach(pages, PAGE["fr"], PLAN, _add="1")
    number = rows(session)[0].id
    case = make.case(owner=people.adviser)
    signed_in(people.adviser).get(f"/staff/cases/{case.reference}/documents/{number}", 404)


def test_another_browser_cannot_take_a_document_off(app, people, pages, session):
    at_documents(pages)
    attach(pages, PAGE["fr"], PLAN, _add="1")
    number = rows(session)[0].id
    stranger = at_documents(Pages(app))
    attach(stranger, PAGE["fr"], _remove=str(number))
    assert len(rows(session)) == 1


def test_staff_add_and_destroy_documents_and_the_history_says_so(people, make, session, signed_in, app):
    case = make.case(owner=people.adviser)
    address = f"/staff/cases/{case.reference}"
    adviser = signed_in(people.adviser)
    adviser.get(address)
    answer = attach(adviser, f"{address}/documents", SCRIPT, PLAN, status=422)
    assert "contient du code" in words(answer.text)
    (row,) = rows(session)
    assert row.name == PLAN[0]
    answer = attach(adviser, f"{address}/documents", status=422)
    assert "Choisissez un document" in words(answer.text)
    adviser.get(address)
    number = row.id
    adviser.post(f"{address}/documents/{number}/destroy")
    assert not rows(session)
    page = words(adviser.get(address).text)
    assert "a ajouté le document" in page
    assert "a détruit un document" in page
    adviser.post(f"{address}/documents/{number}/destroy", status=404)
    advance(case, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told")
    session.commit()
    adviser.get(address)
    attach(adviser, f"{address}/documents", PLAN, status=409)


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_person_adds_and_saves_their_own_documents_and_the_team_is_told(app, people, make, session, lang):
    case = make.case(owner=people.adviser, language=lang)
    browser = inside(app, session, case, lang)
    browser.get(HOME[lang])
    add = {"fr": "/fr/mon-dossier/documents", "en": "/en/my-file/documents"}[lang]
    assert attach(browser, add, PLAN).headers["Location"] == HOME[lang]
    (row,) = rows(session)
    assert row.case_id == case.id
    page = browser.get(HOME[lang])
    assert PLAN[0] in words(page.text)
    give = {"fr": "/fr/mon-dossier/document", "en": "/en/my-file/document"}[lang]
    assert browser.get(f"{give}?number={row.id}").data == PLAN[1]
    for number in ("", "x", "0", str(row.id + 1), "9" * 30):
        browser.get(f"{give}?number={number}", 404)
    told = session.scalars(select(Message).where(Message.kind == "portal.documents")).one()
    assert told.to_address == people.adviser.email
    assert PLAN[0] not in told.body + told.subject
    answer = attach(browser, add, SCRIPT, status=422)
    assert "formulaire.pdf" in words(answer.text)
    assert PLAN[0] in browser.get({"fr": "/fr/mon-dossier/copie", "en": "/en/my-file/copy"}[lang]).text


def test_a_person_reads_no_document_of_another_file_and_adds_none_to_a_closed_one(app, people, make, session):
    _, row = kept(make, session, people)
    mine = make.case(owner=people.adviser, email="autre@exemple.ca")
    browser = inside(app, session, mine)
    browser.get(f"/fr/mon-dossier/document?number={row.id}", 404)
    Pages(app).get(f"/fr/mon-dossier/document?number={row.id}", 404)
    attach(Pages(app), "/fr/mon-dossier/documents", PLAN, status=404)
    advance(mine, Stage.CLOSED, people.adviser, reason="x", closing_reason=ClosingReason.OUT_SCOPE, person_told="told")
    session.commit()
    browser.get(HOME["fr"])
    attach(browser, "/fr/mon-dossier/documents", PLAN, status=409)
    assert len(rows(session)) == 1


def test_documents_off_leave_no_trace(app, people, make, session, signed_in, pages):
    coordinator = signed_in(people.coordinator)
    page = coordinator.get("/staff/settings")
    sent = dict(re.findall(r'name="([a-z_]+)" type="text" value="([^"]*)"', page.text)) | {
        **dict.fromkeys(("form_open", "asks_newsletter", "asks_survey"), "y"),
        "seen": str(newest_fact()),
    }
    coordinator.post("/staff/settings", sent)
    forget()
    begin(pages)
    fill(pages, ANSWERS)
    pages.get(PAGE["fr"], 302)
    pages.get(CHECK["fr"])
    assert attach(pages, PAGE["fr"], PLAN).headers["Location"] == CHECK["fr"]
    assert "On ne peut plus joindre de documents" in words(pages.get(CHECK["fr"]).text)
    assert "Page 8 de 8" in words(pages.get(CHECK["fr"]).text)
    case = make.case(owner=people.adviser)
    assert "Documents" not in words(signed_in(people.adviser).get(f"/staff/cases/{case.reference}").text)
    browser = inside(app, session, case)
    browser.get(HOME["fr"])
    attach(browser, "/fr/mon-dossier/documents", PLAN, status=409)
    assert not rows(session)


def test_documents_go_with_their_file_when_it_is_merged_and_come_back(people, make, session):
    from crm.duplicates.services import merge, undo

    case, row = kept(make, session, people)
    other = make.case(owner=people.adviser)
    made = merge(case, other, people.adviser)
    session.commit()
    assert db.session.get(StoredFile, row.id).case_id == other.id
    undo(made, people.adviser)
    session.commit()
    assert db.session.get(StoredFile, row.id).case_id == case.id
