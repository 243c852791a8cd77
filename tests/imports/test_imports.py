"""A sheet brought in: rehearsed, imported, taken back; each row once, whatever happens; files as if they had been opened by hand."""

import io
import os
import re
import signal
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import event, func, select, text, update
from sqlalchemy.exc import DBAPIError

from crm import clock
from crm.cases.models import Case, Contact, Note, Project, StageSpell, TurnSpell
from crm.cases.queries import forgotten
from crm.cases.searching import find as search
from crm.cases.services import add_note, restrict
from crm.cases.settling import settle
from crm.cases.vocabulary import ClosingReason, Stage, Turn
from crm.db import Base, db
from crm.duplicates.services import match
from crm.imports import rounds, services, writing
from crm.imports.models import Import, ImportKey, ImportPlan, ImportRow, ImportState, ImportTrait, RowState
from crm.outbox.models import Message
from crm.reminders.models import FollowUp
from crm.search.models import SearchFile, SearchText
from crm.search.words import read_question
from crm.tags import services as tags
from crm.tags.models import CaseTag, Tag
from tests.conftest import PASSWORD
from tests.imports.sheets import MESSY, TITLES, csv_of, many, messy, xlsx_of
from tests.support.pages import words
from tests.support.server import Product, poll
from tests.support.typed import form_with

PLAIN = ["Nom", "Courriel", "Projet", "Étape", "Date de la demande", "Commentaires"]


def bring(browser, content, name="suivi.csv", status=303):
    answer = browser.post("/staff/imports", {"documents": (io.BytesIO(content), name)}, status=status)
    return answer.headers.get("Location")


def columns(browser, run, status=303, **typed):
    browser.get(f"{run}?step=columns")
    action, form = form_with(browser.last.text, "days")
    return browser.post(action, form | typed, status=status)


def rehearsed(browser, content, name="suivi.csv", **typed):
    """Brought, its columns taken as they were guessed, the words left as they are offered; the address of the run."""
    run = bring(browser, content, name)
    if "step=words" in columns(browser, run, **typed).headers["Location"]:
        browser.get(f"{run}?step=words")
        action, form = form_with(browser.last.text, "version")
        browser.post(action, form)
    gone_on(run)
    browser.get(run)
    return run


def begin(browser, run, status=303, **typed):
    typed = {"password": PASSWORD, "leave_out": "y"} | typed
    answer = browser.post(f"{run}/begin", {name: value for name, value in typed.items() if value}, status=status)
    gone_on(run)
    return answer


def gone_on(run):
    """What a busy machine did not do at once is done."""
    rounds.carry_on(int(run.rsplit("/", 1)[1]), 600)


def imported(browser, content, **typed):
    run = rehearsed(browser, content, **typed)
    begin(browser, run)
    return run


def the(session, run) -> Import:
    session.expire_all()
    return session.get_one(Import, int(run.rsplit("/", 1)[1]))


def states(session, run) -> list[str]:
    read = select(ImportRow.state).where(ImportRow.import_id == the(session, run).id).order_by(ImportRow.place)
    return [state.value for state in session.scalars(read)]


def named(session, name) -> Case:
    return session.scalars(select(Case).join(Case.contact).where(Contact.name == name)).one()


def said_in_note(session, case) -> str:
    return session.scalars(select(Note.body).where(Note.case_id == case.id)).one().replace("\u00a0", " ")


@pytest.fixture
def desk(people, signed_in):
    return signed_in(people.coordinator)


def plain(*rows):
    return csv_of([PLAIN, *rows])


# --- the messy sheet, from one end to the other ------------------------------------------------------------------------


def test_the_messy_sheet_is_rehearsed_row_by_row(desk, session):
    run = rehearsed(desk, messy())
    assert states(session, run) == ["new", "wrong", "wrong", "wrong", "wrong", "wrong", "like", "like", "wrong"]
    assert session.scalar(select(func.count(Case.id))) == 0, "a rehearsal makes nothing"
    page = words(desk.get(f"{run}?show=wrong").text)
    for said in (
        "motif de fermeture manque",
        "nom de la personne manque",
        "ni courriel ni téléphone",
        "(hier)",
        "(de trop)",
    ):
        assert said in page
    like = words(desk.get(f"{run}?show=like").text)
    assert "Même adresse courriel – ligne 4" in like
    assert "Même numéro et même nom dans le tableau – ligne 4" in like


def test_jane_is_new_when_she_is_not_like_anybody(desk, session):
    rows = [row for row in MESSY if row and row[1].startswith("Jane")]
    run = imported(desk, csv_of([TITLES, *rows]))
    assert states(session, run) == ["done"]
    jane = named(session, "Jane O’Neil")
    assert (jane.language, jane.stage, jane.project.locality) == ("en", Stage.NEW, "le-plateau-mont-royal")
    assert clock.local_date(jane.received_at).isoformat() == "2025-05-20"
    note = said_in_note(session, jane)
    assert 'Commentaires : =HYPERLINK("http://x")' in note
    assert "Tél. : pas de téléphone" in note
    assert "No dans le tableau : 14" in note


def test_zoe_as_she_was_in_the_sheet(desk, session, people):
    run = rehearsed(desk, messy())
    begin(desk, run)
    assert states(session, run)[0] == "done"
    zoe = named(session, "Zoé L’Érable")
    assert (zoe.contact.phone, zoe.contact.phone_extension) == ("+15145550142", "3")
    assert zoe.project.name == "Les Livreuses unies"
    assert (zoe.stage, zoe.project.legal_form, zoe.project.sector) == ("discovery", "coop_work", "delivery")
    step = session.scalars(select(FollowUp).where(FollowUp.case_id == zoe.id)).one()
    assert (step.title, step.due_on.isoformat(), step.owner_id) == (
        "Relire le plan",
        "2027-01-15",
        people.coordinator.id,
    )
    assert zoe.next_step_on == step.due_on
    session.commit()
    history = words(desk.get(f"/staff/cases/{zoe.reference}").text)
    assert "a importé ce dossier d’un tableau (ligne 4)" in history
    assert "Bailleur : CDRQ" in history


def test_the_same_from_a_workbook(desk, session):
    run = rehearsed(desk, xlsx_of([["Suivi"], TITLES, *MESSY]), "suivi.xlsx")
    assert states(session, run)[0] == "new"
    assert "feuille « Sheet »" in words(desk.get(run).text)


# --- files as if they had been opened by hand --------------------------------------------------------------------------


ALL_STAGES = [
    ["Ana Neuf", "neuf@exemple.ca", "Un", "Nouveau", "2026-01-05", "Bavarde"],
    ["Bob Contact", "contact@exemple.ca", "Deux", "Premier contact", "2026-01-05", ""],
    ["Cam Analyse", "analyse@exemple.ca", "Trois", "En cours", "2026-01-05", "Note"],
    ["Dan Pause", "pause@exemple.ca", "Quatre", "En pause", "2026-01-05", ""],
    ["Eve Lance", "lance@exemple.ca", "Cinq", "Lancé", "2026-01-05", ""],
]


def test_whose_turn_it_is_and_what_is_found_is_as_settling_would_say(desk, session, people):
    imported(desk, plain(*ALL_STAGES))
    cases = session.scalars(select(Case).order_by(Case.id)).all()
    assert [case.turn for case in cases] == [Turn.TEAM, Turn.TEAM, Turn.TEAM, Turn.PERSON, Turn.TEAM]
    before = [(case.turn, case.turn_since, case.turn_until, case.next_step_on) for case in cases]
    searched = _searched(session)
    assert not any(settle(case) for case in cases)
    session.flush()
    assert [(case.turn, case.turn_since, case.turn_until, case.next_step_on) for case in cases] == before
    assert _searched(session) == searched
    for case in cases:
        planned = session.scalar(select(func.min(FollowUp.due_on)).where(FollowUp.case_id == case.id))
        assert case.next_step_on == planned
        assert [one.stage for one in session.scalars(select(StageSpell).where(StageSpell.case_id == case.id))] == [
            case.stage
        ]
        assert [one.turn for one in session.scalars(select(TurnSpell).where(TurnSpell.case_id == case.id))] == [
            case.turn
        ]
    assert forgotten() == []
    assert [one.row.reference for one in search(people.adviser, read_question("bavarde"))] == [cases[0].reference]


def _searched(session):
    files = session.execute(select(SearchFile.case_id, SearchFile.words).order_by(SearchFile.case_id)).all()
    kept = session.execute(
        select(SearchText.kind, SearchText.source_id, SearchText.words).order_by(SearchText.kind, SearchText.source_id)
    )
    return files, kept.all()


def test_a_row_makes_what_opening_a_file_by_hand_makes(desk, session, make):
    rows = [["Nadia Benali", "autre@exemple.ca", "Outilthèque", "Nouveau", "", ""]]
    with time_machine.travel(clock.now(), tick=False):
        received_at = min(clock.at_local(clock.today(), 9), clock.now())  # a row of today, however early it is
        by_hand = make.case(name="Outilthèque", email="autre@exemple.ca", received_at=received_at)
        session.commit()
        run = rehearsed(desk, plain(*rows))
        desk.post(f"{run}/rows", {"which": "all"})
        begin(desk, run)
        brought = session.scalars(select(Case).where(Case.id != by_hand.id)).one()
    own = {"id", "reference", "contact_id", "project_id", "source", "matched_at"}
    assert _columns(brought, own) == _columns(by_hand, own)
    for model in (StageSpell, TurnSpell):
        kept = [
            _columns(session.scalars(select(model).where(model.case_id == case.id)).one(), {"id", "case_id"})
            for case in (brought, by_hand)
        ]
        assert kept[0] == kept[1]
    steps = [session.scalars(select(FollowUp).where(FollowUp.case_id == case.id)).one() for case in (brought, by_hand)]
    # Our own rules remind nobody of thousands of files on one day; the dates and the rest are the same.
    own = {"id", "case_id", "created_at", "reminded_on"}
    assert _columns(steps[0], own) == _columns(steps[1], own)


def _columns(row, but):
    return {column.key: getattr(row, column.key) for column in type(row).__table__.columns if column.key not in but}


def test_a_closed_row_is_a_closed_file(desk, session):
    titles = ["Nom", "Date de la demande", "Statut", "Date de fermeture", "Motif de fermeture"]
    imported(desk, csv_of([titles, ["Luc Ancien", "2025-01-06", "Fermé", "2025-03-03", "abandoned"]]))
    luc = named(session, "Luc Ancien")
    assert (luc.stage, luc.closing_reason, luc.turn, luc.next_step_on) == (
        Stage.CLOSED,
        ClosingReason.ABANDONED,
        Turn.NOBODY,
        None,
    )
    spells = session.scalars(
        select(StageSpell).where(StageSpell.case_id == luc.id).order_by(StageSpell.entered_at)
    ).all()
    assert [(one.stage, clock.local_date(one.entered_at).isoformat(), one.left_at is None) for one in spells] == [
        ("contact", "2025-01-06", False),
        ("closed", "2025-03-03", True),
    ]
    assert session.scalars(select(FollowUp).where(FollowUp.case_id == luc.id)).all() == []


def test_no_mail_leaves_for_what_was_due_long_ago(app, desk, session):
    titles = ["Nom", "Courriel", "Prochaine étape", "Date de relance"]
    imported(
        desk, csv_of([titles, ["Ana", "ana@exemple.ca", "Rappeler", "2025-02-03"], ["Bea", "bea@exemple.ca", "", ""]])
    )
    from crm.jobs import run_job  # noqa: PLC0415 - only this test

    job = next(one for one in app.extensions["features"]["jobs"] if one.name == "remind")
    with time_machine.travel(clock.now() + timedelta(days=30)):
        run_job(app, job)
    session.expire_all()
    assert session.scalar(select(func.count(Message.id))) == 0


# --- each row once -----------------------------------------------------------------------------------------------------


def test_the_same_sheet_twice_adds_nothing_in_another_order_of_columns_neither(desk, session):
    rows = [row[:3] for row in ALL_STAGES]
    imported(desk, csv_of([PLAIN[:3], *rows]))
    assert states(session, imported_again(desk, csv_of([PLAIN[:3], *rows]))) == ["same"] * 5
    turned = [[row[2], row[0], row[1]] for row in rows]
    assert (
        states(session, imported_again(desk, csv_of([[PLAIN[2], PLAIN[0], PLAIN[1]], *turned], "cp1252", ",")))
        == ["same"] * 5
    )
    assert session.scalar(select(func.count(Case.id))) == 5


def imported_again(desk, content):
    run = rehearsed(desk, content)
    begin(desk, run, status=409)
    return run


def test_their_own_number_tells_a_row_that_was_changed_since(desk, session):
    titles = ["No", "Nom", "Courriel", "Projet"]
    imported(desk, csv_of([titles, ["7", "Ana Silva", "ana@exemple.ca", "Un"]]))
    run = rehearsed(
        desk,
        csv_of([titles, ["7", "Ana Silva", "ana@ailleurs.ca", "Deux"], ["7", "Bob Roy", "bob@exemple.ca", "Trois"]]),
    )
    assert states(session, run) == ["like", "new"], "it may be taken all the same"
    desk.post(f"{run}/rows", {"which": "all"})
    begin(desk, run)
    assert states(session, run) == ["done", "done"]


def test_the_same_sheet_adds_nothing_although_its_columns_are_said_to_hold_something_else(desk, session):
    titles = ["No", "Nom", "Courriel", "Statut", "Motif de fermeture"]
    content = csv_of([titles, ["7", "Ana Silva", "", "Fermé", "answered"], ["8", "Bob Roy", "", "Fermé", "answered"]])
    imported(desk, content)
    assert states(session, rehearsed(desk, content, **{"column-0": "note"})) == ["same", "same"]


def test_two_imports_of_one_sheet_under_way_at_once_make_each_file_once(desk, session):
    content = plain(*ALL_STAGES)
    first, second = rehearsed(desk, content), rehearsed(desk, content)
    begin(desk, first)
    begin(desk, second)
    assert states(session, second) == ["same"] * 5
    assert session.scalar(select(func.count(Case.id))) == 5


def test_pressed_twice_it_is_imported_once(desk, session):
    run = rehearsed(desk, plain(*ALL_STAGES))
    begin(desk, run)
    begin(desk, run)
    assert session.scalar(select(func.count(Case.id))) == 5


def test_rows_that_look_like_a_file_are_left_out_unless_they_are_ticked(desk, session, make, people):
    here = make.case(name="Coop vélo", email="ana@exemple.ca")
    hidden = make.case(name="Autre", email="bob@exemple.ca")
    restrict(hidden, restricted=True, readers=[], actor=people.adviser)
    match()
    session.commit()
    run = rehearsed(
        desk, plain(["Ana", "ana@exemple.ca", "Vélo", "", "", ""], ["Bob", "bob@exemple.ca", "Chose", "", "", ""])
    )
    page = desk.get(f"{run}?show=like").text
    assert f"Coop vélo {here.reference}" in words(page)
    assert hidden.reference not in page
    assert states(session, run) == ["like", "new"], "nobody learns of a restricted file by asking with a sheet"
    desk.post(f"{run}/rows", {"seen": ["0"], "row": ["0"]})
    assert "Créer 2 dossiers" in words(desk.get(run).text)
    desk.post(f"{run}/rows", {"seen": ["0"], "row": []})
    begin(desk, run)
    assert states(session, run) == ["like", "done"]


# --- taking back -------------------------------------------------------------------------------------------------------


def rows_of_everything(session):
    """Every row of every table that a file has, but for the import's own."""
    return {
        table.name: session.scalar(select(func.count()).select_from(table))
        for table in Base.metadata.sorted_tables
        if not table.name.startswith(("import_", "session", "rate_"))
    }


def undone(desk, run):
    page = desk.get(f"{run}?step=undo").text
    desk.post(f"{run}/undo", {})
    gone_on(run)
    return words(page)


def test_taken_back_nothing_is_left_of_it(desk, session, make):
    make.case(name="Resté", email="reste@exemple.ca")
    session.commit()
    run = rehearsed(desk, messy())
    desk.post(f"{run}/rows", {"which": "all"})
    before = rows_of_everything(session)
    session.commit()
    begin(desk, run)
    session.commit()
    assert rows_of_everything(session)["case_file"] == before["case_file"] + 3
    assert "3 dossiers et tout ce qui a été importé" in undone(desk, run)
    assert the(session, run).state is ImportState.UNDONE
    assert rows_of_everything(session) == before
    session.commit()
    assert states(session, rehearsed(desk, messy()))[0] == "new", "it can be brought again"


def test_a_file_worked_on_since_stays_and_the_page_says_so_first(desk, session, people):
    run = imported(desk, plain(*ALL_STAGES))
    kept = named(session, "Cam Analyse")
    add_note(kept, "On continue.", people.adviser)
    session.commit()
    desk.get(f"/staff/cases/{named(session, 'Bob Contact').reference}")  # reading is not working
    page = undone(desk, run)
    assert "4 dossiers et tout ce qui a été importé" in page
    assert "1 dossier resterait" in page
    assert states(session, run) == ["removed", "removed", "kept", "removed", "removed"]
    assert session.scalars(select(Case.id)).all() == [kept.id]
    assert session.scalar(select(func.count()).select_from(ImportKey)) == 1


def test_a_file_that_something_else_holds_on_to_stays(desk, session, people):
    run = imported(desk, plain(*ALL_STAGES))
    held = named(session, "Ana Neuf")
    session.execute(
        text("INSERT INTO case_reader (case_id, staff_id) VALUES (:case, :staff)"),
        {"case": held.id, "staff": people.adviser.id},
    )
    session.commit()
    undone(desk, run)
    assert states(session, run) == ["kept", "removed", "removed", "removed", "removed"]
    assert session.get(Note, session.scalar(select(Note.id).where(Note.case_id == held.id))) is not None, (
        "what is kept is whole"
    )


def test_after_thirty_days_it_is_too_late_and_the_rows_are_destroyed(desk, session, people, signed_in):
    run = imported(desk, plain(*ALL_STAGES))
    session.execute(update(Import).values(ended_at=clock.now() - timedelta(days=31)))
    session.commit()
    assert "step=undo" not in desk.get(run).text
    desk.post(f"{run}/undo", {}, status=409)
    assert services.forget_old() == 1
    session.commit()
    assert session.scalar(select(func.count()).select_from(ImportRow)) == 0
    assert "5 Dans Passerelle" in words(desk.get(run).text)
    assert states(session, rehearsed(desk, plain(*ALL_STAGES))) == ["same"] * 5


def test_what_a_process_that_died_left_of_a_sheet_is_destroyed(desk, session):
    run = imported(desk, plain(*ALL_STAGES))
    session.add(ImportTrait(import_id=the(session, run).id, trait="=left", place=1))
    session.commit()
    services.forget_old()
    assert session.scalar(select(func.count()).select_from(ImportTrait)) == 0
    assert states(session, run) == ["done"] * 5


def test_a_sheet_nobody_went_on_with_is_destroyed_after_a_week(desk, session):
    rehearsed(desk, messy())
    session.execute(update(Import).values(made_at=clock.now() - timedelta(days=8)))
    session.commit()
    assert services.forget_old() == 1
    assert session.scalar(select(func.count()).select_from(ImportRow)) == 0


def test_history_of_a_file_that_was_opened_by_hand_is_never_deleted(session, make):
    case = make.case()
    session.commit()
    with pytest.raises(DBAPIError, match="append-only"):
        session.execute(text("DELETE FROM event WHERE case_id = :case"), {"case": case.id})


# --- interrupted -------------------------------------------------------------------------------------------------------


def test_killed_in_the_middle_it_goes_on_and_each_row_has_one_file(desk, session, database_url, tmp_path, monkeypatch):
    run = rehearsed(desk, csv_of([TITLES, *many(700)]))
    rounds.carry_on(the(session, run).id, 600)
    session.commit()
    monkeypatch.setattr(rounds, "carry_on", lambda *_: None)  # what would be done at once is left to the worker
    begin(desk, run)
    monkeypatch.undo()
    session.commit()
    product = Product(database_url, tmp_path)

    def done() -> int:
        number = session.scalar(select(func.count()).select_from(ImportRow).where(ImportRow.state == RowState.DONE))
        session.commit()
        return number

    try:
        worker = product.command("worker")
        poll(lambda: done() >= 20, "the worker imports", worker)
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
        some = done()
        assert 0 < some < 700
        assert session.scalar(select(func.count(Case.id))) == some
        assert session.scalar(select(func.count()).select_from(ImportKey)) == 2 * some
        session.commit()
        rounds.carry_on(the(session, run).id, 600)
    finally:
        product.stop()
    assert the(session, run).state is ImportState.DONE
    assert session.scalar(select(func.count(Case.id))) == done() == 700
    assert len(set(session.scalars(select(ImportRow.case_id)))) == 700


def test_stopped_in_the_middle_and_taken_back(desk, session):
    run = rehearsed(desk, csv_of([TITLES, *many(60)]))
    assert services.begin(the(session, run))
    session.commit()
    rounds._make_some(the(session, run).id, 20)
    assert the(session, run).state is ImportState.RUNNING
    assert session.scalar(select(func.count(Case.id))) == 20
    session.commit()
    assert "L’import s’arrête où il en est" in undone(desk, run)
    assert the(session, run).state is ImportState.UNDONE
    assert session.scalar(select(func.count(Case.id))) == 0


def test_a_row_that_makes_our_program_fail_is_left_alone_and_the_others_are_made(desk, session, monkeypatch):
    run = rehearsed(desk, plain(*ALL_STAGES))
    made = writing._case

    def fails(values, setting):
        if values["name"] == "Cam Analyse":
            raise ZeroDivisionError
        return made(values, setting)

    monkeypatch.setattr(writing, "_case", fails)
    begin(desk, run)
    assert states(session, run) == ["done", "done", "wrong", "done", "done"]
    assert "Une erreur est survenue de notre côté" in words(desk.get(f"{run}?show=wrong").text)


def test_a_database_that_is_busy_stops_it_and_it_goes_on_later(desk, session, app):
    run = rehearsed(desk, plain(*ALL_STAGES))
    services.begin(the(session, run))
    session.commit()

    def busy(connection, cursor, statement, *_):
        if statement.startswith("INSERT INTO case_file"):
            raise DBAPIError("", {}, Exception("database is locked"))

    event.listen(db.engine, "before_cursor_execute", busy)
    try:
        with pytest.raises(DBAPIError):
            rounds.carry_on(the(session, run).id, 5)
    finally:
        event.remove(db.engine, "before_cursor_execute", busy)
    assert states(session, run) == ["new"] * 5
    session.commit()
    rounds.carry_on(the(session, run).id, 5)
    assert states(session, run) == ["done"] * 5


# --- what is typed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "vide.csv", "Il n’y a pas de tableau"),
        (b"PK\x03\x04 rien", "faux.xlsx", "abîmé ou d’un autre format"),
        (b"%PDF-1.4", "plan.pdf", "Seuls les documents CSV et XLSX"),
        (b"a;b\n" + b"1;2\n" * 100_001, "long.csv", "plus de 100 000 lignes"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words_and_nothing_is_kept(desk, session, content, name, said):
    bring(desk, content, name, status=422)
    assert said in words(desk.last.text)
    assert session.scalar(select(func.count(Import.id))) == 0


def test_a_bomb_is_not_opened(desk, session):
    import zipfile  # noqa: PLC0415 - only this test

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 200_000_000)
    bring(desk, file.getvalue(), "bombe.xlsx", status=422)
    assert "abîmé ou d’un autre format" in words(desk.last.text)


def test_two_columns_cannot_be_one_field_and_a_name_is_needed(desk, session):
    run = bring(desk, plain(*ALL_STAGES))
    columns(desk, run, status=422, **{"column-1": "name"})
    assert "Deux colonnes ne peuvent pas être « Nom de la personne » à la fois : Nom, Courriel." in words(
        desk.last.text
    )
    columns(desk, run, status=422, **{"column-0": ""})
    assert "Indiquez la colonne qui contient le nom de la personne." in words(desk.last.text)
    columns(desk, run, **{"column-3": "x", "blank-stage": "forgé", "blank-region": "99"})
    assert the(session, run).plan["blank"]["region"] == "06"
    assert "3" not in the(session, run).plan["columns"]


def test_two_people_who_say_what_columns_hold_are_told(desk, session, people, signed_in):
    run = bring(desk, plain(*ALL_STAGES))
    desk.get(f"{run}?step=columns")
    action, form = form_with(desk.last.text, "days")
    columns(signed_in(people.admin), run, **{"column-5": ""})
    desk.post(action, form | {"column-5": "description"}, status=409)
    page = desk.last.text
    assert "Quelqu’un a changé ces choix entre-temps" in words(page)
    assert re.search(r'name="column-5".*?value="description" selected', page, re.DOTALL), (
        "what was chosen is still there"
    )


def test_choices_are_kept_under_a_name_for_the_next_sheet_of_these_titles(desk, session):
    titles = ["Nom", "Courriel", "Truc"]
    run = bring(desk, csv_of([titles, ["Ana", "ana@exemple.ca", "Vélo"]]))
    columns(desk, run, **{"column-2": "project", "keep": "Suivi annuel", "blank-stage": "planning"})
    again = bring(desk, csv_of([titles, ["Bob", "bob@exemple.ca", "Moto"]]))
    page = desk.get(f"{again}?step=columns").text
    assert "Lu comme « Suivi annuel »" in words(page)
    assert (the(session, again).plan["columns"]["2"], the(session, again).plan["blank"]["stage"]) == (
        "project",
        "planning",
    )
    session.commit()
    other = bring(desk, csv_of([["Nom", "Tél"], ["Cam", "514 555-0142"]]))
    columns(desk, other, status=422, keep="Suivi annuel")
    assert "Ce nom garde déjà les choix d’un tableau" in words(desk.last.text)
    assert session.scalar(select(func.count(ImportPlan.id))) == 1


def test_words_of_their_own_are_asked_about_and_kept_in_a_note(desk, session):
    titles = ["Nom", "Courriel", "Secteur"]
    content = csv_of([titles, ["Ana", "ana@exemple.ca", "Livraison"], ["Bob", "bob@exemple.ca", "Bizarre"]])
    run = bring(desk, content)
    columns(desk, run)
    page = desk.get(f"{run}?step=words").text
    assert "Livraison (1 ligne)" in words(page)
    action, form = form_with(page, "version")
    assert form["word:sector:livraison"] == ["delivery"], "the nearest is offered"
    desk.post(action, form | {"word:sector:bizarre": "arts", "word:sector:x": "forgé"})
    begin(desk, run)
    assert named(session, "Bob").project.sector == "arts"
    assert "Secteur : Bizarre" in said_in_note(session, named(session, "Bob"))


def test_wrong_rows_are_left_out_only_when_that_is_said_and_a_password_is_asked(desk, session):
    run = rehearsed(desk, messy())
    begin(desk, run, leave_out="", status=422)
    assert "Corrigez le tableau, ou indiquez que ces lignes sont laissées de côté" in words(desk.last.text)
    begin(desk, run, password="faux", status=422)
    assert "Ce n’est pas votre mot de passe" in words(desk.last.text)
    assert session.scalar(select(func.count(Case.id))) == 0


def test_the_report_says_why_each_row_is_left_out_and_no_formula_lives_in_it(desk):
    rows = [["", "a@exemple.ca", "=1+1", "", "", ""], ["Zoé", "", "@x", "", "", ""]]
    run = rehearsed(desk, plain(*rows))
    answer = desk.get(f"{run}/report")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    report = answer.data.decode("utf-8-sig")
    assert "2;À corriger;Le nom de la personne manque.;;a@exemple.ca;'=1+1" in report
    assert "3;À corriger;Le dossier est ouvert" in report
    assert ";'@x" in report


def test_fifty_thousand_faults_are_told_by_kind(desk, session, monkeypatch):
    run = bring(desk, csv_of([["Nom", "Courriel"], *[["", f"a{place}@exemple.ca"] for place in range(3000)]]))
    columns(desk, run)
    rounds.carry_on(the(session, run).id, 600)
    session.commit()
    page = words(desk.get(run).text)
    assert "Le nom de la personne manque. (3000 lignes)" in page or "(3 000 lignes)" in page
    assert "Lignes suivantes" in page
    assert len(desk.get(f"{run}/report").data.splitlines()) == 3001


def test_a_row_of_scripts_is_shown_as_text(desk, session):
    row = ["<script>alert(1)</script>", "a@exemple.ca", "%(x)s {0}", "", "", "<b>gras</b>\u202e"]
    run = rehearsed(desk, plain(row))
    assert "<script>alert" not in desk.get(run).text
    begin(desk, run)
    case = named(session, "<script>alert(1)</script>")
    session.commit()
    page = desk.get(f"/staff/cases/{case.reference}").text
    assert "<script>alert" not in page
    assert "%(x)s {0}" in words(page)


@pytest.mark.parametrize("who", ["adviser", "observer"])
def test_only_coordinators_bring_sheets_in(people, signed_in, desk, who):
    run = rehearsed(desk, plain(*ALL_STAGES))
    browser = signed_in(getattr(people, who))
    for address in ("/staff/imports", run, f"{run}/report"):
        browser.get(address, status=404)
    for address in (
        "/staff/imports",
        f"{run}/columns",
        f"{run}/words",
        f"{run}/begin",
        f"{run}/on",
        f"{run}/undo",
        f"{run}/rows",
        f"{run}/discard",
    ):
        browser.post(address, {}, status=404)


def test_a_sheet_is_thrown_away_only_while_nothing_was_made_of_it(desk, session):
    run = rehearsed(desk, plain(*ALL_STAGES))
    begin(desk, run)
    desk.post(f"{run}/discard", {}, status=409)
    other = rehearsed(desk, messy())
    desk.post(f"{other}/discard", {})
    assert session.scalar(select(func.count(Import.id))) == 1


def test_projects_are_compared_too(desk, session, make):
    make.case(name="Coopérative Vélo-partage Rosemont", email="x@exemple.ca")
    match()
    session.commit()
    run = rehearsed(desk, plain(["Ana", "ana@exemple.ca", "Velo partage Rosemont", "", "", ""]))
    assert states(session, run) == ["like"]
    assert session.scalar(select(func.count(Project.id))) == 1


def test_a_second_sheet_is_compared_with_what_the_first_made_at_once(desk, session):
    imported(desk, plain(["Ana", "ana@exemple.ca", "Un", "", "", ""]))
    assert states(session, rehearsed(desk, plain(["Anne", "ana@exemple.ca", "Deux", "", "", ""]))) == ["like"]
    assert match() == 1, "and what looks alike is still looked for"


# --- what a hostile reader found -----------------------------------------------------------------------------------------


def test_choices_saved_while_the_import_begins_are_told_and_take_nothing_back(desk, session, people, signed_in):
    run = rehearsed(desk, plain(*ALL_STAGES))
    desk.get(f"{run}?step=columns")
    action, form = form_with(desk.last.text, "days")
    begin(signed_in(people.admin), run)
    desk.post(action, form, status=409)
    assert states(session, run) == ["done"] * 5
    number, version = the(session, run).id, the(session, run).version
    late = session.get_one(Import, number)
    plan = services.Plan.of(late.plan)
    db.session.execute(update(Import).where(Import.id == number).values(state=ImportState.RUNNING))
    from sqlalchemy.orm.attributes import set_committed_value  # noqa: PLC0415 - only here

    set_committed_value(late, "state", ImportState.CHECKED)
    assert not services.set_plan(late, plan, version)
    session.rollback()
    assert states(session, run) == ["done"] * 5


def test_a_rehearsal_of_choices_that_were_changed_meanwhile_writes_nothing(desk, session, monkeypatch):
    run = rehearsed(desk, plain(*ALL_STAGES))
    number = the(session, run).id
    session.execute(update(Import).values(state=ImportState.CHECKING))
    session.execute(update(ImportRow).values(state=RowState.UNREAD))
    session.commit()
    judged = rounds._judged

    def slow(one, rows):
        found = judged(one, rows)
        with db.engine.begin() as other:
            other.execute(text("UPDATE import_run SET version = version + 1"))
        return found

    monkeypatch.setattr(rounds, "_judged", slow)
    assert not rounds._check_some(number, 0)
    assert states(session, run) == ["unread"] * 5


def test_what_was_opened_since_the_rehearsal_is_not_made_again(desk, session, make):
    first = rehearsed(
        desk, plain(["Ana", "ana@exemple.ca", "Un", "", "", ""], ["Bob", "bob@exemple.ca", "Deux", "", "", ""])
    )
    second = rehearsed(desk, plain(["Anne", "ana@exemple.ca", "Trois", "", "", ""]))
    begin(desk, second)
    begin(desk, first)
    assert states(session, first) == ["like", "done"]
    assert "Même adresse courriel" in words(desk.get(f"{first}?show=like").text)


@pytest.mark.parametrize("forged", ["1" + "0" * 30, "1" + "0" * 12, "9" * 5000, "-5", "x", "²"])
def test_forged_numbers_are_nothing(desk, forged):
    run = rehearsed(desk, messy())
    desk.get(f"{run}?show=like&after={forged}")
    desk.post(f"{run}/rows", {"seen": [forged, "6"], "row": [forged]})


def test_a_stage_cannot_be_left_blank_by_a_forged_form(desk, session):
    run = rehearsed(
        desk, plain(["Ana", "ana@exemple.ca", "Un", "", "", ""]), **{"blank-stage": "", "blank-language": ""}
    )
    begin(desk, run)
    assert named(session, "Ana").stage is Stage.CONTACT


def test_words_cannot_be_said_before_the_name_is(desk, session):
    run = bring(desk, csv_of([["Truc", "Secteur"], ["Ana", "Livraison"]]))
    page = desk.get(f"{run}?step=words").text
    action, form = form_with(page, "version")
    assert "step=columns" in desk.post(action, form).headers["Location"]
    assert states(session, run) == ["unread"]


def test_more_words_than_a_page_holds_are_all_asked_about(desk, session):
    rows = [[f"Ana {place}", f"a{place}@exemple.ca", f"zzz{place}"] for place in range(70)]
    run = bring(desk, csv_of([["Nom", "Courriel", "Secteur"], *rows]))
    columns(desk, run)
    for left in (60, 10):
        page = desk.get(f"{run}?step=words").text
        assert page.count("(1 ligne)") == left
        action, form = form_with(page, "version")
        answer = desk.post(action, form)
    assert "step=words" not in answer.headers["Location"]


def test_a_step_without_a_date_reminds_nobody(app, desk, session):
    imported(desk, csv_of([["Nom", "Courriel", "Prochaine action"], ["Ana", "ana@exemple.ca", "Rappeler"]]))
    from crm.jobs import run_job  # noqa: PLC0415 - only here

    job = next(one for one in app.extensions["features"]["jobs"] if one.name == "remind")
    with time_machine.travel(clock.now() + timedelta(days=10)):
        run_job(app, job)
    session.expire_all()
    assert session.scalar(select(func.count(Message.id))) == 0


def test_a_file_restricted_since_names_nobody_on_the_page_of_the_import(desk, session, people):
    run = imported(desk, plain(["Ana Silva", "ana@exemple.ca", "Secret", "", "", ""]))
    restrict(named(session, "Ana Silva"), restricted=True, readers=[], actor=people.adviser)
    session.commit()
    page = words(desk.get(run).text)
    assert "Silva" not in page
    assert "Secret" not in page
    assert "un dossier réservé à certaines personnes" in page


def test_of_what_was_taken_back_no_name_is_kept(desk, session):
    run = imported(desk, plain(*ALL_STAGES))
    undone(desk, run)
    assert session.scalars(select(ImportRow.cells)).all() == [[]] * 5


def test_the_report_corrected_is_brought_back_as_it_was_meant(desk, session):
    titles = ["Nom", "Tél", "Commentaires"]
    run = rehearsed(desk, csv_of([titles, ["", "+1 514 555-0142", "=1+1"]]))
    report = desk.get(f"{run}/report").data.decode("utf-8-sig")
    corrected = report.replace(".;;'+1", ".;Ana;'+1").encode("utf-8-sig")
    again = imported(desk, corrected)
    assert states(session, again) == ["done"]
    ana = named(session, "Ana")
    assert ana.contact.phone == "+15145550142"
    assert said_in_note(session, ana) == "Commentaires : =1+1"


def test_a_long_comment_is_kept_whole(desk, session):
    long = "Très long. " * 3000
    imported(desk, plain(["Ana", "ana@exemple.ca", "Un", "", "", long.strip()]))
    notes = session.scalars(select(Note.body).where(Note.case_id == named(session, "Ana").id).order_by(Note.id)).all()
    assert len(notes) == 2
    assert "".join(notes).replace("\u00a0", " ").endswith(long.strip())


def test_a_sheet_of_titles_alone_holds_no_table(desk, session):
    bring(desk, csv_of([["Nom", "Courriel"]]), status=422)
    assert "Il n’y a pas de tableau" in words(desk.last.text)
    assert session.scalar(select(func.count(Import.id))) == 0


def test_choices_whose_name_was_left_blank_change_nothing_that_is_kept(desk, session):
    titles = ["Nom", "Courriel", "Secteur"]
    run = bring(desk, csv_of([titles, ["Ana", "ana@exemple.ca", "Bizarre"]]))
    columns(desk, run, keep="Annuel", **{"blank-region": "13"})
    other = bring(desk, csv_of([titles, ["Bob", "bob@exemple.ca", "Drôle"]]))
    columns(desk, other, keep="", **{"blank-region": "16"})
    action, form = form_with(desk.get(f"{other}?step=words").text, "version")
    desk.post(action, form)
    assert session.scalars(select(ImportPlan)).one().plan["blank"]["region"] == "13"


def test_tags_of_a_sheet_are_those_there_are_or_new_ones_and_the_rest_stays_in_the_note(desk, session, people):
    bike = tags.named("Vélo")
    tags.named("Cohorte 2026")
    session.commit()
    titles, long = [*PLAIN, "Mots-clés"], "x" * 41
    sheet = csv_of([
        titles,
        ["Ana", "ana@exemple.ca", "Un", "", "", "", f"velo; Cohorte 2024, {long}"],
        ["Bob", "bob@exemple.ca", "Deux", "", "", "", "COHORTE  2024"],
        ["Cam", "cam@exemple.ca", "Trois", "", "", "", "autre chose"],
        ["Dan", "dan@exemple.ca", "Quatre", "", "", "", ""],
    ])  # fmt: skip
    run = bring(desk, sheet)
    columns(desk, run, **{"blank-tags": str(bike.id)})
    page = desk.get(f"{run}?step=words").text
    action, form = form_with(page, "version")
    assert form["word:tags:cohorte 2024"] == ["new"]
    assert form[f"word:tags:{long}"] == [""], "too long for a tag"
    assert "word:tags:velo" not in form
    desk.post(action, form | {"word:tags:autre chose": "", f"word:tags:{long}": "new"})
    gone_on(run)
    begin(desk, run)
    assert states(session, run) == ["done"] * 4
    carried = {
        name: sorted(session.scalars(select(Tag.name).join(CaseTag, CaseTag.tag_id == Tag.id).where(CaseTag.case_id == named(session, name).id)))
        for name in ("Ana", "Bob", "Cam", "Dan")
    }  # fmt: skip
    assert carried == {"Ana": ["Cohorte 2024", "Vélo"], "Bob": ["Cohorte 2024"], "Cam": ["Vélo"], "Dan": ["Vélo"]}
    assert said_in_note(session, named(session, "Ana")) == f"Mots-clés : {long}"
    assert said_in_note(session, named(session, "Cam")) == "Mots-clés : autre chose"
    undone(desk, run)
    assert session.scalar(select(func.count()).select_from(CaseTag)) == 0
    assert session.scalar(select(func.count(Case.id))) == 0


def test_more_tags_than_a_file_may_carry_stay_in_the_note(desk, session):
    for place in range(15):
        tags.named(f"là {place}")
    session.commit()
    words_of_cell = [f"là {place}" for place in range(15)] + [f"neuf {place}" for place in range(10)]
    imported(
        desk, csv_of([[*PLAIN, "Étiquettes"], ["Ana", "ana@exemple.ca", "Un", "", "", "", "; ".join(words_of_cell)]])
    )
    ana = named(session, "Ana")
    carried = set(
        session.scalars(select(Tag.name).join(CaseTag, CaseTag.tag_id == Tag.id).where(CaseTag.case_id == ana.id))
    )
    assert carried == set(words_of_cell[:20])
    assert said_in_note(session, ana).split("\n") == [f"Étiquettes : {word}" for word in words_of_cell[20:]]


def test_a_tag_too_many_for_the_team_stays_in_the_note(desk, session, monkeypatch):
    run = rehearsed(desk, csv_of([[*PLAIN, "Étiquettes"], ["Ana", "ana@exemple.ca", "Un", "", "", "", "Une, Deux"]]))
    monkeypatch.setattr(tags, "MOST_TAGS", 1)
    begin(desk, run)
    assert states(session, run) == ["done"]
    assert session.scalars(select(Tag.name)).all() == ["Une"]
    assert said_in_note(session, named(session, "Ana")) == "Étiquettes : Deux"


def test_a_tag_removed_since_the_rehearsal_holds_nothing_up(desk, session):
    bike = tags.named("Vélo")
    session.commit()
    run = bring(desk, plain(*ALL_STAGES))
    columns(desk, run, **{"blank-tags": str(bike.id)})
    gone_on(run)
    tags.remove(bike)
    session.commit()
    begin(desk, run)
    assert states(session, run) == ["done"] * 5


@pytest.mark.parametrize("at_once", [1, 2, 5, 2000])
def test_a_rehearsal_done_again_forgets_the_earlier_one_some_rows_at_a_time(desk, session, monkeypatch, at_once):
    monkeypatch.setattr(services, "CHANGED_AT_ONCE", at_once)
    run = rehearsed(desk, plain(*ALL_STAGES, ["Ana bis", "neuf@exemple.ca", "Un", "", "", ""]))
    assert states(session, run) == ["new"] * 5 + ["like"]
    desk.post(f"{run}/rows", {"which": "all"})
    assert session.scalars(select(ImportRow.wanted).order_by(ImportRow.place)).all() == [False] * 5 + [True]
    columns(desk, run)
    gone_on(run)
    assert states(session, run) == ["new"] * 5 + ["like"], "and no row is its own twin"
    assert session.scalars(select(ImportRow.wanted)).all() == [False] * 6
    desk.post(f"{run}/rows", {"which": "all"})
    begin(desk, run)
    assert states(session, run) == ["done"] * 6
    assert session.scalar(select(func.count()).select_from(ImportTrait)) == 0


def test_a_sheet_whose_destruction_was_interrupted_is_gone_on_with_by_nobody_and_destroyed_in_time(
    desk, session, monkeypatch
):
    run = rehearsed(desk, plain(*ALL_STAGES))

    def dies(_number):
        raise SystemExit

    number = the(session, run).id
    with monkeypatch.context() as interrupted:
        interrupted.setattr(services, "forget_traits", dies)
        with pytest.raises(SystemExit):
            services.discard(number)
    session.rollback()
    assert the(session, run).state is ImportState.READING
    begin(desk, run)
    assert session.scalar(select(func.count(Case.id))) == 0
    session.execute(update(Import).values(made_at=clock.now() - timedelta(days=8)))
    session.commit()
    assert services.forget_old() == 1
    assert (
        session.scalar(select(func.count(Import.id)))
        == session.scalar(select(func.count()).select_from(ImportTrait))
        == 0
    )
