"""A summary from the draft that makes itself to its publication, which two people decide and nothing changes afterwards."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import delete, func, select, update

from crm import clock
from crm.access import Role
from crm.accounts.services import create_staff
from crm.cases.models import Case, StageSpell
from crm.errors import RefusedError
from crm.outbox.models import Message
from crm.summaries import queries, services
from crm.summaries.models import CountedFiles, State, Summary, SummaryFile
from crm.summaries.periods import Period
from crm.summaries.suppression import SMALL
from crm.timeline.models import Event
from tests.conftest import PASSWORD
from tests.support.pages import words
from tests.support.summaries import published

Q2, Q3 = Period.read("2026-q2"), Period.read("2026-q3")
WRITTEN = {
    "fr": {"text": "Un.\n\nDeux.", "learned": "Appeler tôt.", "missing": "Du prédémarrage."},
    "en": {"text": "One.\n\nTwo.", "learned": "Call early.", "missing": "Pre-start-up money."},
}
READ = "/staff/summaries/2026-q3"


@pytest.fixture
def moment():
    with time_machine.travel(datetime(2026, 8, 3, 14, tzinfo=UTC), tick=False) as moment:
        yield moment


@pytest.fixture
def quarter(moment, make, people, session):
    """Twelve requests of a quarter of which the cut-off day has come."""
    for place in range(12):
        make.case(owner=people.adviser, name=f"Projet {place}", email=f"p{place}@exemple.ca")
    session.commit()
    moment.move_to(clock.at_local(Q3.cut_off, 10))
    return Q3


def drafted(session, period=Q3) -> Summary:
    summary = services.make(period)
    session.commit()
    return summary


# --- the draft -------------------------------------------------------------------------------------------------------


def test_a_draft_makes_itself_on_the_cut_off_day_and_once(session, moment, quarter, people, signed_in):
    moment.move_to(clock.at_local(Q3.cut_off - timedelta(days=1), 23))
    assert services.make_due() == 0
    moment.move_to(clock.at_local(Q3.cut_off, 0))
    assert [services.make_due(), services.make_due()] == [1, 0]
    (summary,) = session.scalars(select(Summary))
    assert (summary.period, summary.state) == ("2026-q3", State.DRAFT)
    assert summary.figures["received"] == {"value": 12}
    assert session.scalars(select(Event.kind).where(Event.kind.like("summary.%"))).all() == ["summary.drafted"]
    assert "écrire le texte" in words(signed_in(people.coordinator).get("/staff/today").text)
    assert "écrire le texte" not in words(signed_in(people.adviser).get("/staff/today").text)


def test_after_a_long_absence_each_quarter_that_was_missed_is_made(session, moment, quarter):
    drafted(session, Q3)
    moment.move_to(datetime(2027, 5, 3, 14, tzinfo=UTC))
    assert services.make_due() == 2
    assert session.scalars(select(Summary.period).order_by(Summary.first_day)).all() == [
        "2026-q3",
        "2026-q4",
        "2027-q1",
    ]


def test_figures_are_not_taken_before_their_day_nor_twice(session, moment, quarter):
    with pytest.raises(RefusedError):
        services.make(Q3.next)
    drafted(session)
    with pytest.raises(RefusedError):
        services.make(Q3)


def test_figures_may_be_taken_again_while_nobody_approved_them(session, quarter, make, people):
    summary = drafted(session)
    late = make.case(received_at=clock.at_local(Q3.last, 10))
    session.commit()
    services.propose(summary, summary.version, people.coordinator, names_may_stay=False)
    services.take_again(summary, summary.version, people.coordinator)
    session.commit()
    assert summary.state is State.DRAFT
    assert summary.figures["received"] == {"value": 13}
    assert late.id in queries.counted(summary, "received", "")


# --- what the team writes --------------------------------------------------------------------------------------------


def test_what_is_too_long_is_given_back(session, quarter, people, signed_in):
    summary = drafted(session)
    page = signed_in(people.coordinator)
    typed = {"version": str(summary.version), "text_fr": "\n\n".join("abcdef"), "text_en": "Six."}
    answer = page.post(f"{READ}/write", typed, status=409)
    assert "plus de 5 paragraphes" in words(answer.text)
    assert "a\n\nb\n\nc\n\nd\n\ne\n\nf" in answer.text.replace("\r", "")
    session.expire_all()
    assert summary.texts == {}


def test_who_writes_over_somebody_is_told_and_keeps_both(session, quarter, people, signed_in):
    summary = drafted(session)
    seen = summary.version
    services.write(summary, WRITTEN, seen, people.admin)
    session.commit()
    page = signed_in(people.coordinator)
    answer = page.post(f"{READ}/write", {"version": str(seen), "text_fr": "Le mien."}, status=409)
    assert "Le mien." in answer.text
    assert "Deux." in answer.text
    page.post(f"{READ}/write", {"version": re.search(r'name="version" value="(\d+)"', answer.text)[1], "text_fr": "A"})
    session.expire_all()
    assert summary.texts["fr"]["text"] == "A"


def test_markup_stays_text(session, quarter, people, signed_in):
    summary = drafted(session)
    services.write(
        summary, {lang: {"text": "<script>x</script>"} for lang in ("fr", "en")}, summary.version, people.admin
    )
    session.commit()
    assert "<script>x" not in signed_in(people.coordinator).get(READ).text


def test_a_text_in_one_language_only_is_not_proposed(session, quarter, people):
    summary = drafted(session)
    services.write(summary, WRITTEN | {"en": WRITTEN["en"] | {"learned": ""}}, summary.version, people.admin)
    with pytest.raises(RefusedError, match="What we learned|Ce que nous"):
        services.propose(summary, summary.version, people.admin, names_may_stay=False)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Grâce à nadia BÉNALI, tout va.", ["Nadia Benali"]),
        ("Mme Benali l’a dit.", ["Nadia Benali"]),
        ("Trem\u00adblay, non; Be\u00adnali, oui.", ["Nadia Benali"]),
        ("Les benali du monde.", []),
        ("Le Projet 11 avance.", ["Projet 11"]),
        ("Ce projet avance, onze fois.", []),
    ],
)
def test_names_of_the_files_are_found_in_the_text(session, quarter, people, said, found):
    summary = drafted(session)
    services.write(summary, {"fr": {"text": said}, "en": {"text": said}}, summary.version, people.admin)
    assert summary.names == found


def test_a_text_that_names_somebody_is_proposed_only_when_somebody_says_that_it_may(
    session, quarter, people, signed_in
):
    summary = drafted(session)
    texts = {lang: {"text": "Nadia Benali"} for lang in ("fr", "en")}
    services.write(summary, texts, summary.version, people.admin)
    session.commit()
    page = signed_in(people.coordinator)
    assert "Nadia Benali" in words(page.get(READ).text)
    seen = str(summary.version)
    assert "Nadia Benali" in page.post(f"{READ}/propose", {"version": seen}, status=409).text
    page.post(f"{READ}/propose", {"version": seen, "names_may_stay": "y"})
    session.expire_all()
    assert summary.state is State.PROPOSED


# --- two people ------------------------------------------------------------------------------------------------------


def test_who_proposed_does_not_approve(session, quarter, people, signed_in):
    summary = drafted(session)
    services.propose(summary, summary.version, people.coordinator, names_may_stay=False)
    session.commit()
    page = signed_in(people.coordinator)
    assert "Approuver et publier" not in page.get(READ).text
    answer = page.post(f"{READ}/approve", {"version": str(summary.version)}, status=409)
    assert "une autre personne doit l’approuver" in words(answer.text)
    other = signed_in(people.admin)
    assert "Approuver et publier" in other.get(READ).text
    other.post(f"{READ}/approve", {"version": str(summary.version)})
    session.expire_all()
    assert (summary.state, summary.approved_by_id) == (State.APPROVED, people.admin.id)


def test_of_two_who_approve_at_once_one_is_told(session, quarter, people, signed_in):
    summary = drafted(session)
    services.propose(summary, summary.version, people.coordinator, names_may_stay=False)
    session.commit()
    seen = {"version": str(summary.version)}
    other = create_staff(
        email="autre@exemple.org", name="Autre", role=Role.COORDINATOR, language="en", password=PASSWORD
    )
    session.commit()
    signed_in(people.admin).post(f"{READ}/approve", seen)
    signed_in(other).post(f"{READ}/approve", seen, status=409)
    session.expire_all()
    assert summary.approved_by_id == people.admin.id


def test_text_that_changes_after_it_was_proposed_must_be_proposed_again(session, quarter, people):
    summary = drafted(session)
    services.propose(summary, summary.version, people.coordinator, names_may_stay=False)
    services.write(summary, WRITTEN, summary.version, people.coordinator)
    with pytest.raises(RefusedError):
        services.approve(summary, summary.version, people.admin)


@pytest.mark.parametrize("verb", ["write", "again", "propose", "approve"])
def test_what_is_approved_or_published_does_not_change_any_more(session, quarter, people, signed_in, verb):
    summary = drafted(session)
    services.propose(summary, summary.version, people.coordinator, names_may_stay=False)
    services.approve(summary, summary.version, people.admin)
    session.commit()
    page = signed_in(people.coordinator)
    page.post(f"{READ}/{verb}", {"version": str(summary.version)}, status=409)
    services.publish_approved()
    page.post(f"{READ}/{verb}", {"version": str(summary.version)}, status=409)


# --- publication -----------------------------------------------------------------------------------------------------


def approved(session, people) -> Summary:
    summary = drafted(session)
    services.write(summary, WRITTEN, summary.version, people.coordinator)
    services.propose(summary, summary.version, people.coordinator, names_may_stay=False)
    services.approve(summary, summary.version, people.admin)
    session.commit()
    return summary


def test_the_committee_sees_nothing_before_it_is_published(session, quarter, people, signed_in):
    approved(session, people)
    committee = signed_in(people.observer)
    assert "2026" not in words(committee.get("/staff/summaries").text)
    committee.get(READ, status=404)
    assert services.publish_approved() == 1
    assert services.publish_approved() == 0
    assert "July to September 2026" in words(committee.get("/staff/summaries").text)
    assert "Call early." in committee.get(READ).text
    for address in ("/write", "/indicators", "/indicators/received", "/counted/received"):
        committee.get(f"{READ}{address}", status=404)
    for verb in ("make", "again", "write", "propose", "approve"):
        committee.post(f"{READ}/{verb}", {}, status=404)


def test_observers_are_told_in_their_language_without_a_figure(session, quarter, people):
    approved(session, people)
    services.publish_approved()
    told = session.scalars(select(Message).where(Message.kind == "summaries.published")).all()
    assert [one.to_address for one in told] == [people.observer.email]
    assert "/staff/summaries/2026-q3" in told[0].body
    assert not re.search(r"\b12\b", told[0].body + told[0].subject)
    assert told[0].language == people.observer.language


def test_it_is_published_whole_or_not_at_all(session, quarter, people, monkeypatch):
    summary = approved(session, people)
    whole = list(services.files_of(summary, clock.now()))

    def stopped(_summary, _at):
        yield whole[0]
        raise OSError("no room left")

    monkeypatch.setattr(services, "files_of", stopped)
    with pytest.raises(OSError, match="no room"):
        services.publish_approved()
    session.rollback()
    session.expire_all()
    assert summary.state is State.APPROVED
    assert session.scalar(select(func.count()).select_from(SummaryFile)) == 0
    assert session.scalar(select(func.count()).where(Message.kind == "summaries.published")) == 0
    monkeypatch.undo()
    assert services.publish_approved() == 1
    assert session.scalar(select(func.count()).select_from(SummaryFile)) == len(whole)


def test_a_year_later_the_same_numbers_after_all_was_destroyed(session, quarter, people, signed_in):
    approved(session, people)
    services.publish_approved()
    committee = signed_in(people.observer)
    page = committee.get(READ).text
    session.execute(delete(StageSpell))
    session.execute(update(Case).values(stage="closed", received_at=clock.now()))
    session.commit()
    assert committee.get(READ).text == page
    assert services.verify_all() == 1


def test_what_was_changed_behind_its_back_is_noticed(session, quarter, people, signed_in):
    approved(session, people)
    services.publish_approved()
    (summary,) = session.scalars(select(Summary))
    kept = session.scalar(select(SummaryFile).where(SummaryFile.format == "csv").limit(1))
    committee = signed_in(people.observer)
    assert committee.get(f"{READ}/files/{kept.id}").data == kept.content
    kept.content = kept.content.replace(b"12", b"13")
    session.commit()
    with pytest.raises(services.ChangedError, match="2026-q3"):
        services.verify_all()
    answer = committee.get(f"{READ}/files/{kept.id}", status=409)
    assert "cannot be downloaded" in words(answer.text)
    kept.content = kept.content.replace(b"13", b"12")
    summary.shown = summary.shown | {"figures": summary.shown["figures"] | {"received": {"value": 99}}}
    session.commit()
    with pytest.raises(services.ChangedError, match="2026-q3"):
        services.verify_all()


def test_from_a_frozen_number_staff_reach_the_files_that_made_it(session, quarter, people, signed_in):
    approved(session, people)
    services.publish_approved()
    make_up = session.scalar(select(CountedFiles.files).where(CountedFiles.figure == "received"))
    assert len(make_up) == 12
    page = signed_in(people.adviser)
    assert f"{READ}/counted/received" in page.get(READ).text
    listed = words(page.get(f"{READ}/counted/received").text)
    assert "12 en tout, dans 12 dossiers" in listed
    assert f"{READ}/counted" not in signed_in(people.observer).get(READ).text
    page.get(f"{READ}/counted/received?of=part", status=404)
    page.get(f"{READ}/counted/nothing", status=404)


def test_a_category_that_was_put_together_leads_to_the_files_of_all_of_it(session, quarter, people):
    summary = approved(session, people)
    assert summary.shown["tables"]["by_field"]["cells"] == {"transition": {"value": 12}}
    assert len(queries.counted(summary, "by_field", "transition")) == 12


# --- what is told of several -----------------------------------------------------------------------------------------


@pytest.fixture
def two(moment, make, people, session):
    """Two quarters, published one after the other."""
    for place in range(9):
        make.case(owner=people.adviser, received_at=clock.at_local(Q2.first, 10), email=f"a{place}@exemple.ca")
    for place in range(12):
        make.case(owner=people.adviser, received_at=clock.at_local(Q3.first, 10), email=f"b{place}@exemple.ca")
    for period in (Q2, Q3):
        moment.move_to(clock.at_local(period.cut_off, 10))
        published(period, people.coordinator, people.admin, WRITTEN)
        session.commit()
    return [queries.published(period) for period in (Q2, Q3)]


def test_tables_of_twelve_months_come_once_in_twelve_months(two):
    earlier, later = two
    assert earlier.shown["year"] == {"first": "2025-07-01", "last": "2026-06-30"}
    assert later.shown["year"] is None
    assert "by_region" in earlier.shown["tables"]
    assert "by_region" not in later.shown["tables"]


def test_a_reader_finds_the_tables_of_the_earlier_summary(two, people, signed_in):
    page = words(signed_in(people.observer).get(READ).text)
    assert "appear once a year" in page
    assert "The latest are in this summary: April to June 2026" in page


def test_two_summaries_are_read_side_by_side(two, people, signed_in):
    committee = signed_in(people.observer)
    page = words(committee.get("/staff/summaries/compare?a=2026-q2&b=2026-q3").text)
    assert "Requests received 9 12" in page
    assert "Choose two" in words(committee.get("/staff/summaries/compare?a=2026-q2&b=2031-q1").text)


def test_summaries_are_searched_by_period_and_words(two, people, signed_in):
    committee = signed_in(people.observer)
    listed = lambda wanted: re.findall(r"summaries/(2026-q\d)\"", committee.get(f"/staff/summaries?q={wanted}").text)  # noqa: E731
    assert listed("july") == ["2026-q3"]
    assert listed("call early") == ["2026-q3", "2026-q2"]
    assert listed("xyz") == []


def test_figures_taken_before_another_summary_was_published_are_taken_again(session, moment, two, make, people):
    """Both would have tables of twelve months that overlap."""
    earlier, _later = two
    session.execute(delete(CountedFiles))
    session.execute(delete(SummaryFile))
    session.execute(delete(Summary))
    first, second = (drafted(session, period) for period in (Q2, Q3))
    assert first.shown["year"]
    assert second.shown["year"]
    for one in (first, second):
        services.propose(one, one.version, people.coordinator, names_may_stay=False)
    services.approve(first, first.version, people.admin)
    services.approve(second, second.version, people.admin)
    session.commit()
    moment.shift(timedelta(minutes=1))
    assert services.publish_approved() == 1
    assert (first.state, second.state) == (State.PUBLISHED, State.DRAFT)
    with pytest.raises(RefusedError):
        services.propose(second, second.version, people.coordinator, names_may_stay=False)
    moment.shift(timedelta(minutes=1))
    services.take_again(second, second.version, people.coordinator)
    assert second.shown["year"] is None
    services.propose(second, second.version, people.coordinator, names_may_stay=False)


def test_a_threshold_that_changed_is_applied_before_anything_is_published(session, quarter, people, app, monkeypatch):
    summary = drafted(session)
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], summary_threshold=10))
    with pytest.raises(RefusedError):
        services.propose(summary, summary.version, people.coordinator, names_may_stay=False)
    services.take_again(summary, summary.version, people.coordinator)
    assert summary.shown["k"] == 10
    services.propose(summary, summary.version, people.coordinator, names_may_stay=False)


# --- other periods ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ("first=&last=2026-08-01", "Choisissez le premier et le dernier jour"),
        ("first=2026-08-32&last=2026-09-01", "Choisissez le premier et le dernier jour"),
        ("first=2026-08-02&last=2026-08-01", "Le premier jour vient après le dernier"),
        ("first=2020-08-02&last=2026-08-01", "trois ans au plus"),
        ("first=2027-08-02&last=2027-08-03", "ne sont pas encore venus"),
        ("first=0001-01-01&last=0001-01-02", "ne sont pas encore venus"),
    ],
)
def test_days_that_make_no_period_are_told_so(moment, people, signed_in, days, said):
    assert said in words(signed_in(people.adviser).get(f"/staff/summaries/chosen?{days}", status=422).text)


@pytest.mark.parametrize(
    ("first", "last", "received"),
    [("2026-08-03", "2026-08-03", 12), ("2026-08-04", "2026-08-10", 0), ("2024-01-01", "2026-12-31", 12)],
)
def test_the_team_reads_the_indicators_of_any_days(quarter, people, signed_in, first, last, received):
    page = signed_in(people.adviser)
    answer = page.get(f"/staff/summaries/chosen?first={first}&last={last}", status=302)
    shown = page.get(answer.headers["Location"])
    assert re.search(rf"1\. Demandes reçues.*?>{received}<", shown.text, re.DOTALL)
    if received:
        listed = words(page.get(f"/staff/summaries/{first}-{last}/indicators/received").text)
        assert "12 en tout, dans 12 dossiers" in listed


def test_days_chosen_by_hand_stay_with_the_team(quarter, people, signed_in):
    code = "2026-08-01-2026-08-31"
    signed_in(people.coordinator).get(f"/staff/summaries/{code}", status=404)
    signed_in(people.coordinator).post(f"/staff/summaries/{code}/make", {}, status=409)
    signed_in(people.observer).get("/staff/summaries/chosen?first=2026-08-01&last=2026-08-31", status=404)
    signed_in(people.observer).get(f"/staff/summaries/{code}/indicators", status=404)


def test_a_programme_that_publishes_by_fiscal_year(session, quarter, moment, app, monkeypatch, people, signed_in):
    settings = replace(app.extensions["settings"], summary_period="year", fiscal_start=4)
    monkeypatch.setitem(app.extensions, "settings", settings)
    assert services.make_due() == 1, "the year that ended in March"
    moment.move_to(datetime(2027, 4, 20, 14, tzinfo=UTC))
    assert services.make_due() == 1
    _earlier, summary = session.scalars(select(Summary).order_by(Summary.first_day))
    assert (summary.period, summary.figures["received"]) == ("2026-y04", {"value": 12})
    assert "Du 1er avril 2026 au 31 mars 2027" in words(signed_in(people.coordinator).get("/staff/summaries").text)


def test_periods_of_which_days_are_in_a_summary_already_have_none(session, quarter):
    drafted(session)
    with pytest.raises(RefusedError, match="2026"):
        services.make(Period.read("2025-y10"))
    assert session.scalars(select(Summary.period)).all() == ["2026-q3"]


# --- what an enemy found ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["🎉", "❌", "\x02", "\ufffe", "ᐃ", "中", "\u202e"])
def test_signs_that_the_pdf_cannot_show_are_refused_by_name_and_nothing_is_lost(
    session, quarter, people, signed_in, sign
):
    summary = drafted(session)
    typed = {"version": str(summary.version), "text_fr": f"Bravo {sign}!", "text_en": "Well done!"}
    answer = signed_in(people.coordinator).post(f"{READ}/write", typed, status=409)
    assert "ne peut pas montrer ces signes" in words(answer.text)
    assert "Well done!" in answer.text


def test_files_that_cannot_be_made_give_the_draft_back_and_hold_up_nobody(session, moment, quarter, people):
    summary = approved(session, people)
    summary.texts = summary.texts | {"fr": {"text": "🎉"}}
    session.commit()
    assert services.publish_approved() == 0
    assert (summary.state, summary.approved_by_id) == (State.DRAFT, None)
    assert "summary.failed" in session.scalars(select(Event.kind)).all()
    assert session.scalar(select(func.count()).select_from(SummaryFile)) == 0
    services.write(summary, WRITTEN, summary.version, people.coordinator)
    services.propose(summary, summary.version, people.coordinator, names_may_stay=False)
    services.approve(summary, summary.version, people.admin)
    session.commit()
    assert services.publish_approved() == 1


def test_a_draft_is_deleted_and_may_be_made_again(session, quarter, people, signed_in):
    summary = drafted(session)
    signed_in(people.coordinator).post(f"{READ}/discard", {"version": str(summary.version)})
    session.expire_all()
    assert session.scalar(select(func.count()).select_from(Summary)) == 0
    assert session.scalar(select(func.count()).select_from(CountedFiles)) == 0
    drafted(session)


def test_no_summary_is_made_of_days_before_one_that_is_published(session, two):
    """Its numbers would tell the tables of the later one apart."""
    with pytest.raises(RefusedError):
        services.make(Period.read("2026-q1"))


def test_files_that_come_again_each_quarter_are_not_added_up(session, two):
    rolling = two[1].shown["compared"]["rolling"]
    assert "received" not in rolling, "four quarters, and two are published"
    assert not {"sent_files", "granted_files"} & set(rolling)


def test_what_was_hidden_under_another_threshold_is_told_as_it_was(session, quarter, people):
    summary = drafted(session)
    summary.shown = summary.shown | {"compared": {"before": {"received": dict(SMALL)}, "k": 10, "rolling": {}}}
    assert services.report_of(summary).lines[0].before_said == "< 10"


def test_an_empty_quarter_is_published_too(session, moment, people):
    moment.move_to(clock.at_local(Q3.cut_off, 10))
    approved(session, people)
    assert services.publish_approved() == 1


def test_what_is_published_is_not_offered_for_writing(session, quarter, people, signed_in):
    approved(session, people)
    services.publish_approved()
    signed_in(people.coordinator).get(f"{READ}/write", status=409)
