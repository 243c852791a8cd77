"""Every page, both languages, light and dark, from the narrowest window to the widest: accessible and never wider than it."""

import re
from datetime import timedelta
from functools import partial

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from crm import clock
from crm.access import Role
from crm.accounts.queries import by_email
from crm.activities.models import Kind, Spoken
from crm.activities.services import Written, write_down
from crm.cases import documents, founders
from crm.cases import services as cases
from crm.cases.addresses import link_of
from crm.cases.models import Founder
from crm.cases.vocabulary import Stage
from crm.content.views import SLUGS as WRITTEN
from crm.db import db
from crm.files.kinds import Checked, FileKind
from crm.financing import services as money
from crm.financing.by_body import Said
from crm.financing.by_body import say as say_of_money
from crm.financing.rules import Status as Applied
from crm.i18n import speaking
from crm.intake.answers import answers_of, page_of
from crm.intake.browser import SLUGS as REQUEST_SLUGS
from crm.intake.forms import PAGES as QUESTIONS
from crm.links.models import Link, Purpose
from crm.links.services import issue
from crm.links.services import token as token_of
from crm.mailbox.models import ReceivedMail
from crm.mailbox.parsing import Attached, Incoming, Sort
from crm.mailbox.services import receive
from crm.partners.queries import by_code
from crm.partners.vocabulary import Instrument
from crm.permissions.models import Purpose as Consented
from crm.permissions.services import consent
from crm.portal import corrections
from crm.portal.conversation import write_to_person
from crm.privacy import services as privacy
from crm.privacy.models import Outcome, Right, Risk
from crm.referrals.answers import Next, accept
from crm.referrals.answers import ask as body_asks
from crm.referrals.outcomes import DeclineReason
from crm.referrals.services import FIELDS, ask_permission, link_of_person
from crm.summaries import queries as summary_queries
from crm.summaries import services as summaries
from crm.summaries import sessions
from crm.summaries.periods import Period
from crm.surveys.models import Survey
from crm.tags import services as tags
from crm.talks import services as talks
from crm.talks.models import Mode
from tests.conftest import PASSWORD
from tests.imports.sheets import messy
from tests.journeys.conftest import site_of_files, with_documents
from tests.journeys.site import REFUSED, body_of
from tests.journeys.test_entrepreneur import answers, begin, fill, fill_all
from tests.journeys.test_referral import LINK
from tests.support import papers
from tests.support.asking import CHECK, START, address
from tests.support.summaries import published
from tests.support.talking import open_hours

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

NARROW, WIDE = 320, 3840
# Each page is judged in full at both widths and in both schemes, in turn: what all pages share is seen in all four. All are measured.
JUDGED = (
    {"fr": (NARROW, "light"), "en": (WIDE, "dark")},
    {"fr": (WIDE, "light"), "en": (NARROW, "dark")},
)
LONG = "Coopérative-de-solidarité-intermunicipale-des-livreuses-et-livreurs-à-vélo-du-Grand-Montréal"
NAMES = ["Outilthèque de Rosemont", "Toile boréale", LONG, "", "Semences partagées", "Atelier 514", "Vélo-cargo du Sud-Ouest",
         "La Ruche des médias", "Habiter ensemble", "Soins de proximité", "Récolte locale", "Données communes"]  # fmt: skip
WORDS = "Une bibliothèque d’outils gérée par les personnes du quartier. " * 6 + "https://exemple.ca/" + "x" * 120


@pytest.fixture(scope="module")
def full(migrated, post, tmp_path_factory):
    """An installation with a dozen files at every stage, referrals in every state, and mail that did not leave."""
    folder = tmp_path_factory.mktemp("full")
    with_documents(folder)
    site = site_of_files(migrated, post, folder)
    coordinator = site.person(Role.COORDINATOR, "fr")
    site.person(Role.COORDINATOR, "en")
    site.person(Role.ADVISER, "en")
    site.refs = {}
    with site.making("fr") as make:
        adviser, session = make.people.adviser, make.session
        for place, name in enumerate(NAMES):
            at = clock.now() - timedelta(days=place * 3, hours=place)
            case = make.case(name=name, received_at=at, owner=adviser if place % 3 else None)
            case.contact.name = ["Nadia Benali", "Jean-Sébastien Archambault-Desrochers", "Li Wei"][place % 3]
        for stage in (Stage.CONTACT, Stage.DISCOVERY, Stage.PLANNING):
            site.refs[stage] = make.case_at(stage).reference
        for day in range(12):
            make.case(
                received_at=clock.at_local(Period.read("2026-q2").first.replace(day=day + 2), 10),
                name=f"Printemps {day}",
            )
        for code in ("cdrq", "reseau-coop", "pme-mtl", "esplanade"):
            make.body(code)
        make.body("esplanade").main.email = f"{REFUSED}esplanade.example"
        rich = make.case_at(Stage.PLANNING)
        rich.project.name, rich.project.description = LONG, WORDS
        cases.add_note(rich, WORDS, adviser)
        make.referral(rich, by_code("pme-mtl"), sent=False)
        for name, may in ((f"Li {LONG}", True), ("Sam", False)):
            known = {"role": "Technique", "language": "en", "email": "li@exemple.ca", "phone": "+15145550177"}
            founders.name_founder(rich, Founder(name=name, phone_extension="", may_contact=may, **known), adviser)
        for name in ("Économie circulaire", LONG[:40], "Vélo"):
            tags.put_on(rich, tags.named(name), adviser)
        for name in ("Plan d’affaires.pdf", f"{LONG}.pdf"):
            documents.add(rich, Checked(name, FileKind.PDF, papers.pdf()), None)
        write_to_person(rich, WORDS, "essai", adviser)
        with speaking("fr"):
            wanted = page_of(
                "project", answers_of(rich, "project") | {"project_name": ["Un autre nom"], "description": [WORDS]}
            )
            assert wanted.validate()
            corrections.propose(rich, wanted, "essai")
            declined = corrections.propose(
                rich, page_of("reach", answers_of(rich, "reach") | {"phone": ["514 555-0199"]}), "autre"
            )
            corrections.decline(declined, rich, WORDS, adviser)
        tomorrow = clock.now() + timedelta(days=1)
        talks.book(rich, adviser=adviser, starts_at=tomorrow, minutes=30, mode=Mode.VIDEO, actor=adviser)
        open_hours(session, adviser)
        make.referral(rich, by_code("cdrq"))
        make.referral(
            rich, by_code("reseau-coop"), fields=("name", "email", "phone", "description", "summary", "needs")
        )
        make.referral(rich, by_code("esplanade"))
        cases.advance(rich, Stage.REFERRED, adviser)
        asked_file = make.case_at(Stage.PLANNING)
        asking = ask_permission(
            asked_file, by_code("pme-mtl"), purpose=WORDS[:290], fields=list(FIELDS), actor=adviser,
            expires_on=clock.today() + timedelta(days=60),
        )  # fmt: skip
        asks = make.referral(asked_file, by_code("cdrq"))
        body_asks(asks, WORDS)
        taken_on = make.referral(asked_file, by_code("reseau-coop"))
        accept(taken_on, WORDS, then=Next(WORDS[:290], clock.today() + timedelta(days=9)))
        session.flush()
        site.question = token_of(session.scalars(select(Link).where(Link.purpose == Purpose.ALLOW)).one())
        site.theirs = token_of(
            session.scalars(select(Link).where(Link.object_id == taken_on.id, Link.purpose == Purpose.REFERRAL)).one()
        )
        say_of_money(taken_on, Said(Applied.GRANTED, Instrument.GRANT, 2_500_000, 2_000_000, WORDS))
        say_of_money(taken_on, Said(Applied.FILED, Instrument.LOAN, 5_000_000))
        money.save_plan(asked_file, seen_version=0, budget=12_000_000, own=1_500_000, actor=adviser)
        grant = money.add(
            asked_file, by_code("pme-mtl"), Applied.FILED, money.Facts(Instrument.GRANT, 5_000_000), adviser
        )
        waits = money.Facts(Instrument.PATIENT, 3_000_000, clock.today() + timedelta(days=20), grant.id)
        money.add(asked_file, by_code("caisse-solidaire"), Applied.PREPARING, waits, adviser)
        loan = money.add(
            asked_file, by_code("fondaction"), Applied.FILED, money.Facts(Instrument.LOAN, 1_234_550), adviser
        )
        money.advance(loan, asked_file, Applied.GRANTED, money.Decision(1_000_000, WORDS), adviser)
        site.list = token_of(link_of_person(by_code("cdrq").main))
        site.numbers = {"pending": asking.id, "asks": asks.id, "taken": taken_on.id, "grant": grant.id}
        aside = make.case(name="Robot ou personne", received_at=clock.now() - timedelta(days=8))
        aside.quarantined = True
        closed = make.case(owner=adviser, name="Fermé")
        cases.advance(
            closed,
            Stage.CLOSED,
            adviser,
            closing_reason=cases.pipeline.ClosingReason.OUT_SCOPE,
            reason="Hors mandat",
            person_told="told",
        )
        site.refs |= {
            "asked": asked_file.reference,
            "rich": rich.reference,
            "closed": closed.reference,
            "new": make.case(name="Neuf").reference,
            "aside": aside.reference,
        }
        site.file_token = token_of(link_of(rich))
        consent(closed, Consented.SURVEY, shown="J’accepte", version="1", language="fr")
        survey = Survey(occurrence="1", case_id=closed.id, months=6, asked_on=clock.today(), note="")
        session.add(survey)
        session.flush()
        site.survey_token = token_of(issue(Purpose.SURVEY, survey.id, days=60))
        receive(
            Incoming(Sort.WORDS, "x@exemple.ca", LONG, f"Re: {LONG}", "", WORDS, WORDS, (Attached("a.pdf", b""),)),
            validity=1,
            uid=1,
        )
        site.refs["received"] = session.scalar(select(ReceivedMail.id))
        session.commit()
    other_coordinator = site.person(Role.COORDINATOR, "fr", "-two")
    with site.inside():
        first, second = by_email(coordinator), by_email(other_coordinator)
        q2 = published(Period.read("2026-q2"), first, second, {lang: {"text": WORDS} for lang in ("fr", "en")})
        own = {"sent": 12, "accepted": 7, "declined": 3, "silent": 2, "days": 6.5, "others": None}
        q2.bodies = {code: own for code in summary_queries.short_names()}
        q2.digest = summaries.digest_of(q2)
        draft_of = Period.read("2026-q3")
        draft = summaries.make(draft_of)
        texts = {lang: {"text": "Nadia Benali", "learned": LONG, "missing": WORDS} for lang in ("fr", "en")}
        summaries.write(draft, texts, draft.version, first)
        due = clock.today() - timedelta(days=2)
        for quarter in (Period.read("2026-q2"), draft_of):
            sessions.save(quarter, 0, held_on=due, present=[first, second], others=LONG, actor=first)
            for place, title in enumerate((LONG, "Prolonger le programme")):
                sessions.add_point(quarter, title, key=str(place), actor=first)
            point = sessions.of_period(quarter).points[0]
            sessions.decide(point, 1, title=LONG, decision=WORDS, owner_id=first.id, due_on=due, actor=first)
            site.refs["point"] = point.id
        asked = privacy.Asked(due, Right.ACCESS, LONG[:200], LONG[:200], WORDS, due, Outcome.REFUSED, WORDS)
        site.refs["rights"] = privacy.write_request(asked, None, key="long", actor=first).id
        told = privacy.Happened(due, LONG[:200], WORDS, WORDS, 12_000, Risk.SERIOUS, WORDS, due, due, WORDS, WORDS, due)
        site.refs["incident"] = privacy.write_incident(told, key="long", actor=first).id
        written = Written(due, Kind.GROUP_BODIES, Spoken.BOTH, ["advisers"], 9, [by_code("cdrq")], LONG, "", WORDS)
        site.refs["activity"] = write_down(written, key="x", actor=first).id
        db.session.commit()
    site.sql("UPDATE follow_up SET due_on = '2026-10-01' WHERE rule = 'reach'")
    site.send_due()
    site.links = {
        code: LINK.search(body_of(post.to(f"jean@{code}.example")[-1]))[0] for code in ("cdrq", "reseau-coop")
    }
    yield site
    site.stop()


def press(visit, *, within="main"):
    visit.page.locator(f"{within} button.button--main").last.click()


def question(code, *, wrong=False, whole=False):
    """A page of the request: blank, filled in, or sent as it stands."""

    def go(visit):
        begin(visit, visit.lang)
        visit.go(address(code, visit.lang))
        if whole:
            fill(visit, answers("zoe@exemple.ca", visit.lang)[code])
        if wrong:
            press(visit)
            assert visit.status == 422

    return go


def check_page(visit):
    begin(visit, visit.lang)
    fill_all(visit, visit.lang, "zoe@gmial.com")


def check_with_errors(visit):
    begin(visit, visit.lang)
    visit.go(CHECK[visit.lang])
    press(visit)
    assert visit.status == 422


def begun(visit):
    begin(visit, visit.lang)
    visit.go(START[visit.lang])


def documents_page(visit):
    begin(visit, visit.lang)
    visit.go({"fr": "/fr/demande/documents", "en": "/en/request/documents"}[visit.lang])


def documents_refused(visit):
    documents_page(visit)
    visit.site.forget_tries()
    visit.page.locator("#documents").set_input_files(
        [
            {"name": f"{LONG}.pdf", "mimeType": "application/pdf", "buffer": papers.pdf()},
            {"name": f"{LONG}.svg", "mimeType": "image/svg+xml", "buffer": b"<svg/>"},
        ]
    )
    press(visit)
    assert visit.status == 422


def file_copy(visit):
    file_page(visit)
    visit.go({"fr": "/fr/mon-dossier/ma-copie", "en": "/en/my-file/my-copy"}[visit.lang])


def correcting(page, *, wrong=False):
    def go(visit):
        file_page(visit)
        base = {"fr": "/fr/mon-dossier/corriger", "en": "/en/my-file/correct"}[visit.lang]
        visit.go(f"{base}/{REQUEST_SLUGS[page][visit.lang == 'en']}")
        if wrong:
            visit.page.locator("#description").fill("")
            press(visit)
            assert visit.status == 422

    return go


def sent_blank(address, *blanks):
    """A page of staff with one form, sent with these fields empty."""

    def go(visit):
        visit.go(address.format(**visit.site.refs))
        for blank in blanks:
            visit.page.locator(blank).fill("")
        press(visit)
        assert visit.status == 422

    return go


def keys_shown(visit):
    visit.go("/staff/requests")
    visit.page.keyboard.press("?")
    expect(visit.page.locator("#keys")).to_be_visible()


def later(visit):
    begin(visit, visit.lang)
    visit.go({"fr": "/fr/demande/plus-tard", "en": "/en/request/later"}[visit.lang])


def wrong_code(visit):
    visit.site.forget_tries()
    visit.go({"fr": "/fr/demande/reprendre", "en": "/en/request/resume"}[visit.lang])
    visit.page.locator("#code").fill("2B2B")
    press(visit)
    assert visit.status == 422


def received(visit):
    check_page(visit)
    press(visit)
    visit.page.wait_for_url(re.compile("/recue/|/received/"))


def file_landing(visit):
    slug = {"fr": "fr/mon-dossier/ouvrir", "en": "en/my-file/open"}[visit.lang]
    visit.site.forget_tries()
    visit.go(f"/{slug}/{visit.site.file_token}")


def file_page(visit):
    file_landing(visit)
    press(visit)
    visit.page.wait_for_url(re.compile("/mon-dossier$|/my-file$"))


def file_with_errors(visit):
    file_page(visit)
    visit.page.locator("#body").fill("")
    visit.button(visit.w.text("portal.page.write_send")).click()
    assert visit.status == 422


def times(visit):
    file_page(visit)
    visit.go({"fr": "/fr/mon-dossier/moments", "en": "/en/my-file/times"}[visit.lang])


def time_not_chosen(visit):
    times(visit)
    press(visit)
    assert visit.status == 422


def file_lost(visit):
    visit.go({"fr": "/fr/mon-dossier", "en": "/en/my-file"}[visit.lang])


def hours_with_errors(visit):
    visit.go("/staff/hours")
    visit.page.locator("#monday").fill("le matin")
    press(visit)
    assert visit.status == 422


def landing(visit, code="cdrq"):
    slug = {"fr": "fr/mise-en-relation", "en": "en/referral"}[visit.lang]
    visit.page.goto(re.sub("(fr/mise-en-relation|en/referral)", slug, visit.site.links[code]))


def answer(visit, code="cdrq"):
    landing(visit, code)
    press(visit)


def answer_with_errors(visit):
    answer(visit)
    press(visit)


def asked_for_permission(visit):
    visit.go({"fr": "/fr/permission/", "en": "/en/permission/"}[visit.lang] + visit.site.question)


def what_joining_moves(visit):
    visit.go("/staff/partners/cdrq/join")
    visit.page.locator("select[name=into]").select_option("fondaction")
    press(visit)


def money_of_body(visit, *, more=""):
    """The page on which a body speaks of money: as it opens, the form of one that is not decided, or sent blank."""
    taken_on(visit)
    path = {"fr": "/fr/mise-en-relation/financement", "en": "/en/referral/financing"}[visit.lang]
    visit.page.locator(f"main a[href='{path}']").click()
    if more == "decide":
        visit.page.locator("main section a.button").last.click()
    elif more == "blank":
        visit.page.locator("#said-form button.button--main").click()
        assert visit.status == 422


def taken_on(visit, *, then=""):
    """The page of a body that took a project on: as it opens, and its form of what came of it sent blank."""
    visit.go({"fr": "/fr/mise-en-relation/", "en": "/en/referral/"}[visit.lang] + visit.site.theirs)
    press(visit)
    if then:
        visit.page.locator("#end-form button").click()
        assert visit.status == 422


def financing_with_errors(visit):
    visit.go(f"/staff/cases/{visit.site.refs['asked']}/financing")
    visit.page.locator("#add-asked").fill("beaucoup")
    visit.page.locator("main .plain-form button").first.click()
    assert visit.status == 422


def financing_one(visit):
    visit.go(f"/staff/cases/{visit.site.refs['asked']}/financing/{visit.site.numbers['grant']}")


def body_list(visit):
    visit.go({"fr": "/fr/organisme/", "en": "/en/organization/"}[visit.lang] + visit.site.list)
    press(visit)
    expect(visit.page.locator("#waiting")).to_be_visible()


def body_list_over(visit, *, asked=False):
    """The page of a link that works no more: as it opens, and once another was asked for."""
    visit.go({"fr": "/fr/organisme/1-x", "en": "/en/organization/1-x"}[visit.lang])
    if asked:
        press(visit)


def numbered(which):
    """A referral's page for staff, with what can be unfolded unfolded."""

    def go(visit):
        visit.go(f"/staff/cases/{visit.site.refs['asked']}/referrals/{visit.site.numbers[which]}")
        for place in range(visit.page.locator("main details").count()):
            visit.page.locator("main details summary").nth(place).click()

    return go


def answered(visit):
    answer(visit, "reseau-coop")
    if visit.page.locator("input[value=decline]").count():
        visit.page.locator("input[value=decline]").check()
        visit.page.locator("#reason").select_option(DeclineReason.CAPACITY)
        visit.page.locator("#note").fill(WORDS)
        press(visit)
    expect(visit.page.locator(".receipt")).to_be_visible()


def sign_in(visit):
    visit.go("/staff/cases")
    if visit.lang == "en":
        visit.button("English").click()


def sign_in_with_errors(visit):
    sign_in(visit)
    visit.site.forget_tries()
    press(visit)


def at(address):
    def go(visit):
        visit.go(address.format(**visit.site.refs))

    return go


def bulk_asking(what):
    def go(visit):
        visit.go("/staff/cases?stage=all")
        visit.page.locator("button[name=which][value=all]").click()
        visit.go(f"{visit.page.url}?do={what}")

    return go


def bulk_foreseen(visit):
    """Some would change, some would not."""
    bulk_asking("move")(visit)
    visit.page.locator("select[name=to]").select_option("contact")
    visit.page.locator("main .button--main").click()
    expect(visit.page.locator(".facts-row")).to_be_visible()


def progress_wrong(visit):
    visit.go("/staff/cases/{rich}/progress".format(**visit.site.refs))
    visit.page.locator("#progress-launched_on").fill("2090-01-01")
    press(visit)
    assert visit.status == 422


def exported(visit):
    visit.go("/staff/exports?list=q%3Doutil")
    visit.page.locator("#export-reason").fill("Rencontre du comité")
    visit.page.locator("#export-password").fill(PASSWORD)
    visit.page.locator("main .button--main").click()
    visit.page.wait_for_url("**/staff/exports/*")


def brought(step=""):
    """A messy sheet, as far as a step: its columns, its words, or the rehearsal."""

    def go(visit):
        visit.go("/staff/imports")
        sheet = {"name": "suivi.csv", "mimeType": "text/csv", "buffer": messy()}
        visit.page.locator("#documents").set_input_files(sheet)
        press(visit)
        visit.page.wait_for_url("**/staff/imports/*")
        if step:
            press(visit)
            visit.page.wait_for_url("**step=words")
        if step == "rehearsal":
            press(visit)
            expect(visit.page.locator(".facts-row")).to_be_visible()

    return go


def import_wrong(visit):
    """Begun without saying that the rows to correct are left out, and without a password."""
    brought("rehearsal")(visit)
    press(visit)
    assert visit.status == 422


def taken_back(visit):
    """The question before an import is taken back. The same file adds nothing twice: the second time, the import of the first is asked about."""
    if "taken_back" in visit.site.refs:
        visit.go(visit.site.refs["taken_back"])
        return
    brought("rehearsal")(visit)
    visit.page.locator("[name=leave_out]").check()
    visit.page.locator("#import-password").fill(PASSWORD)
    press(visit)
    visit.page.locator("a[href*='step=undo']").click()
    visit.page.wait_for_url("**step=undo")
    visit.site.refs["taken_back"] = visit.page.url.removeprefix(visit.site.base)


def tag_misnamed(visit):
    visit.go("/staff/tags")
    visit.page.locator("input[name=name]").first.fill(" ")
    visit.page.locator("main form button").first.click()
    assert visit.status == 422


def searching(visit):
    """The list, with what is found under the search box."""
    visit.go("/staff/cases")
    visit.page.locator("#search").press_sequentially("outil")
    expect(visit.page.locator(".suggestions a").first).to_be_visible()


def on_case(which, title=None):
    """The page of a file, with one of its forms sent as it stands."""

    def go(visit):
        visit.go(f"/staff/cases/{visit.site.refs[which]}")
        if title:
            visit.action(visit.w(title)).locator("button.button--main").click()
            assert visit.status == 422

    return go


def conversation_refused(visit):
    visit.go(f"/staff/cases/{visit.site.refs['new']}")
    form = visit.action(visit.w("Record a conversation"))
    form.get_by_label(visit.w.optional("Length in minutes")).fill("0")
    form.locator("button.button--main").click()
    assert visit.status == 422


def side_form_refused(summary, button):
    """A form folded in the side of the page, sent blank."""

    def go(visit):
        visit.go(f"/staff/cases/{visit.site.refs['rich']}")
        folded = visit.page.locator("details.more", has=visit.page.locator("summary", has_text=visit.w(summary))).first
        folded.locator("summary").click()
        visit.button(visit.w(button), folded).click()
        assert visit.status == 422

    return go


def done_half_told(visit):
    """A follow-up completed with half of what comes next."""
    visit.go(f"/staff/cases/{visit.site.refs['rich']}")
    folded = visit.page.locator("details.more", has=visit.page.locator("summary", has_text=visit.w("Complete"))).first
    folded.locator("summary").click()
    folded.locator("[name=next_title]").fill("Relire")
    visit.button(visit.w("Done"), folded).click()
    assert visit.status == 422


def refer_with_errors(visit):
    visit.go(f"/staff/cases/{visit.site.refs[Stage.PLANNING]}/refer")
    press(visit)


def referral(place):
    def go(visit):
        visit.go(f"/staff/cases/{visit.site.refs['rich']}")
        visit.page.locator(".side .todo-list a[href*='/referrals/']").nth(place).click()

    return go


def conflict(visit):
    reference = visit.site.refs["rich"]
    visit.go(f"/staff/cases/{reference}/assessment")
    form = visit.page.locator("main form")
    visit.site.sql(
        "UPDATE project SET version = version + 1 WHERE id = (SELECT project_id FROM case_file WHERE reference = :r)",
        r=reference,
    )
    form.locator("button.button--main").click()
    assert visit.status == 409


def assessment_with_errors(visit):
    visit.go(f"/staff/cases/{visit.site.refs['new']}/assessment")
    visit.page.locator("#assessment-summary").fill("")
    press(visit)


def body_with_errors(visit):
    visit.go("/staff/partners/cdrq")
    visit.page.locator("#contact-email").fill("jean@")
    press(visit)


def body_conflict(visit):
    visit.go("/staff/partners/cdrq")
    visit.site.sql("UPDATE body SET version = version + 1 WHERE code = 'cdrq'")
    press(visit)
    assert visit.status == 409


def person_of_body(visit, *, wrong=False):
    visit.go("/staff/partners/cdrq")
    visit.page.locator("main table a", has_text="Jean Roy").click()
    if wrong:
        visit.page.locator("#person-phone").fill("12")
        press(visit)
        assert visit.status == 422


def programme_conflict(visit):
    address, code = "/staff/partners/cdrq/programmes/cdrq-conseil/edit", "cdrq-conseil"
    visit.go(address)
    visit.page.locator("[name=text_fr]").fill("Conseil")
    visit.site.sql(f"UPDATE programme SET version = version + 1 WHERE code = '{code}'")
    press(visit)
    assert visit.status == 409


def programme_with_errors(visit):
    visit.go("/staff/partners/cdrq/add")
    visit.page.locator("[name=name_en]").fill("Advice")
    press(visit)
    assert visit.status == 422


def new_body_with_errors(visit):
    visit.go("/staff/directory/add")
    press(visit)
    assert visit.status == 422


def touched_files(visit):
    visit.go("/staff/directory/rules/financing-after-support")
    visit.page.locator("[name=kinds][value=assistance]").check()
    press(visit)
    visit.says(visit.w("Save this change"))


def exchanged(visit, content):
    visit.go("/staff/directory/exchange")
    file = {"name": "repertoire.json", "mimeType": "application/json", "buffer": content.encode()}
    visit.page.locator("#file").set_input_files(file)
    press(visit)


def refused(visit):
    """A verb that is refused without a form of its own: the page of a refusal."""
    visit.go(f"/staff/cases/{visit.site.refs['new']}")
    token = visit.page.locator("[name=csrf_token]").first.get_attribute("value")
    visit.page.evaluate(
        """([to, token]) => { const f = document.createElement("form"); f.method = "post"; f.action = to
        const i = document.createElement("input"); i.name = "csrf_token"; i.value = token; f.append(i); document.body.append(f); f.submit() }""",
        [f"/staff/cases/{visit.site.refs['closed']}/take", token],
    )
    visit.says(visit.w("This cannot be done now"))


def too_old(visit):
    """The form's token is too old: what was typed is shown and can be sent again."""
    begin(visit, visit.lang)
    visit.go(address("project", visit.lang))
    fill(visit, answers("zoe@exemple.ca", visit.lang)["project"])
    visit.page.locator("#project_name").fill(LONG)
    visit.context.clear_cookies()
    press(visit)
    visit.says(visit.w("Please send once more"))


def settings_with_errors(visit):
    visit.go("/staff/settings")
    visit.page.locator("#email").fill("pas une adresse")
    press(visit)
    assert visit.status == 422


def text_previewed(visit):
    visit.go("/staff/texts/content.accessibility.body")
    visit.button(visit.w("Preview")).click()
    assert visit.status == 200


INTRODUCE = {"fr": "/fr/diriger-un-projet", "en": "/en/send-a-project"}


def activity_with_errors(visit):
    visit.go({"fr": "/fr/activite", "en": "/en/activity"}[visit.lang])
    press(visit)
    assert visit.status == 422


def introduce_with_errors(visit):
    visit.go(INTRODUCE[visit.lang])
    press(visit)
    assert visit.status == 422


def introduced(visit, consent):
    visit.go(INTRODUCE[visit.lang])
    page = visit.page
    page.locator("#organization").fill("Réseau des quartiers")
    page.locator("#partner_name").fill("Jean Roy")
    page.locator("#partner_email").fill("jean@reseau.example")
    page.locator(f'input[name="consent"][value="{consent}"]').check()
    if consent == "yes":
        page.locator('input[name="agreed"][value="verbal"]').check()
        page.locator("#agreed_on").fill(clock.today().isoformat())
    press(visit)
    assert visit.status == 200


def one_message(visit):
    """The first message about a file: all that is known of it, and its text."""
    at("/staff/mail?file={rich}")(visit)
    visit.page.locator("tbody th a").first.click()


def survey(visit, *, then=""):
    """The page that asks what became of a project: as it opens, sent blank, and answered."""
    visit.go({"fr": "/fr/nouvelles/", "en": "/en/news/"}[visit.lang] + visit.site.survey_token)
    if then == "answered":
        visit.page.locator("input[name=going]").first.check()
    if then:
        press(visit)
    if then == "blank":
        assert visit.status == 422


def plan_looked_at(visit):
    visit.go("/staff/plan")
    visit.page.locator("#after-suggest").fill("8")
    visit.page.locator("button[value=look]").click()
    expect(visit.page.locator("#effect-title")).to_be_visible()


def plan_with_errors(visit):
    visit.go("/staff/plan")
    visit.page.locator("#after-suggest").fill("x")
    visit.page.locator("#new-fr").fill("Appeler")
    visit.page.locator("button[value=look]").click()
    assert visit.status == 422


PAGES = {
    "home": (None, lambda visit: visit.go(f"/{visit.lang}/")),
    **{
        f"page-{name}": (None, lambda visit, slugs=slugs: visit.go(f"/{visit.lang}/{slugs[visit.lang == 'en']}"))
        for name, slugs in WRITTEN.items()
    },
    "activity-ask": (None, lambda visit: visit.go({"fr": "/fr/activite", "en": "/en/activity"}[visit.lang])),
    "activity-errors": (None, activity_with_errors),
    "activity-thanks": (
        None,
        lambda visit: visit.go({"fr": "/fr/activite/merci", "en": "/en/activity/thank-you"}[visit.lang]),
    ),
    "activities": (Role.ADVISER, at("/staff/activities")),
    "activity-held": (Role.ADVISER, at("/staff/activities/{activity}")),
    "activity-written-wrong": (Role.ADVISER, sent_blank("/staff/activities/new")),
    "introduce": (None, lambda visit: visit.go(INTRODUCE[visit.lang])),
    "introduce-errors": (None, introduce_with_errors),
    "introduce-no": (None, lambda visit: introduced(visit, "no")),
    "introduce-person": (None, lambda visit: introduced(visit, "yes")),
    "introduce-thanks": (
        None,
        lambda visit: visit.go(INTRODUCE[visit.lang] + {"fr": "/merci", "en": "/thank-you"}[visit.lang]),
    ),
    "settings": (Role.COORDINATOR, at("/staff/settings")),
    "settings-errors": (Role.COORDINATOR, settings_with_errors),
    "texts": (Role.COORDINATOR, at("/staff/texts?group=mail")),
    "text": (Role.COORDINATOR, at("/staff/texts/content.privacy.body")),
    "text-preview": (Role.COORDINATOR, text_previewed),
    "start": (None, lambda visit: visit.go(START[visit.lang])),
    "start-begun": (None, begun),
    **{f"ask-{code}": (None, question(code, whole=True)) for code in QUESTIONS},
    **{f"ask-{code}-errors": (None, question(code, wrong=True)) for code in QUESTIONS if code != "choices"},
    "ask-check": (None, check_page),
    "ask-check-errors": (None, check_with_errors),
    "ask-too-old": (None, too_old),
    "ask-documents": (None, documents_page),
    "ask-documents-refused": (None, documents_refused),
    "file-correct": (None, correcting("needs")),
    "file-correct-errors": (None, correcting("project", wrong=True)),
    "file-copy": (None, file_copy),
    "keys": (Role.ADVISER, keys_shown),
    "compose": (Role.ADVISER, at("/staff/cases/{rich}/message")),
    "compose-errors": (Role.ADVISER, sent_blank("/staff/cases/{new}/message", "#body")),
    "answers": (Role.ADVISER, at("/staff/cases/{rich}/answers/reach")),
    "answers-errors": (Role.ADVISER, sent_blank("/staff/cases/{rich}/answers/you", "#contact_name")),
    "founder": (Role.ADVISER, at("/staff/cases/{rich}/founders")),
    "founder-errors": (Role.ADVISER, sent_blank("/staff/cases/{rich}/founders", "#name")),
    "later": (None, later),
    "resume-wrong": (None, wrong_code),
    "received": (None, received),
    "not-found": (None, lambda visit: visit.go(f"/{visit.lang}/rien")),
    "file-landing": (None, file_landing),
    "file": (None, file_page),
    "file-errors": (None, file_with_errors),
    "file-lost": (None, file_lost),
    "times": (None, times),
    "times-errors": (None, time_not_chosen),
    "hours": (Role.ADVISER, at("/staff/hours")),
    "hours-errors": (Role.ADVISER, hours_with_errors),
    "landing": (None, landing),
    "answer": (None, answer),
    "answer-errors": (None, answer_with_errors),
    "answered": (None, answered),
    "body-money": (None, money_of_body),
    "body-money-decide": (None, lambda visit: money_of_body(visit, more="decide")),
    "body-money-errors": (None, lambda visit: money_of_body(visit, more="blank")),
    "link-dead": (
        None,
        lambda visit: visit.go({"fr": "/fr/mise-en-relation/1-x", "en": "/en/referral/1-x"}[visit.lang]),
    ),
    "sign-in": (None, sign_in),
    "sign-in-errors": (None, sign_in_with_errors),
    "requests": (Role.ADVISER, at("/staff/requests")),
    "queue": (Role.ADVISER, at("/staff/cases")),
    "today": (Role.COORDINATOR, at("/staff/today")),
    "follow-ups": (Role.ADVISER, at("/staff/follow-ups")),
    "queue-filters": (Role.ADVISER, at("/staff/cases?panel=filters&owner=me&region=06&q=outil")),
    "queue-columns": (Role.ADVISER, at("/staff/cases?panel=columns&cols=person,field,form,project&zzz=1&region=99")),
    "bulk": (Role.ADVISER, bulk_asking("message")),
    "bulk-close": (Role.ADVISER, bulk_asking("close")),
    "bulk-check": (Role.ADVISER, bulk_foreseen),
    "bulk-runs": (Role.ADVISER, at("/staff/bulk")),
    "export": (Role.COORDINATOR, at("/staff/exports?list=owner%3Dme%26late%3Dstep")),
    "export-errors": (Role.ADVISER, sent_blank("/staff/exports", "#export-reason")),
    "export-ready": (Role.ADVISER, exported),
    "export-log": (Role.COORDINATOR, at("/staff/exports/log")),
    "imports": (Role.COORDINATOR, at("/staff/imports")),
    "imports-errors": (Role.COORDINATOR, sent_blank("/staff/imports")),
    "import-columns": (Role.COORDINATOR, brought()),
    "import-words": (Role.COORDINATOR, brought("words")),
    "import-rehearsal": (Role.COORDINATOR, brought("rehearsal")),
    "import-errors": (Role.COORDINATOR, import_wrong),
    "import-undo": (Role.COORDINATOR, taken_back),
    "handoff": (Role.ADVISER, at("/staff/handoff")),
    "message-templates": (Role.ADVISER, at("/staff/message-templates")),
    "message-template-new": (Role.COORDINATOR, at("/staff/message-templates/new")),
    "message-template-errors": (Role.COORDINATOR, sent_blank("/staff/message-templates/new", "#template-name")),
    "case-progress": (Role.ADVISER, at("/staff/cases/{rich}/progress")),
    "case-progress-errors": (Role.ADVISER, progress_wrong),
    "absences": (Role.COORDINATOR, at("/staff/absences")),
    "absences-errors": (Role.ADVISER, sent_blank("/staff/absences", "#absence-begins_on")),
    "case-part": (Role.ADVISER, at("/staff/cases/{rich}?show=messages")),
    "case-readers": (Role.COORDINATOR, at("/staff/cases/{rich}/readers")),
    "tags": (Role.COORDINATOR, at("/staff/tags")),
    "tags-error": (Role.COORDINATOR, tag_misnamed),
    "tags-of-case": (Role.ADVISER, at("/staff/cases/{rich}/tags")),
    "views": (Role.ADVISER, at("/staff/views?list=owner%3Dme&board=yes")),
    "board": (Role.ADVISER, at("/staff/cases/board")),
    "board-move": (Role.ADVISER, at("/staff/cases/{new}/move?to=closed")),
    "search": (Role.ADVISER, at("/staff/search?q=bibliotheque")),
    "search-none": (Role.ADVISER, at("/staff/search?q=zzzz")),
    "search-box": (Role.ADVISER, searching),
    "queue-late": (Role.ADVISER, at("/staff/cases?owner=me&stage=contact")),
    "queue-empty": (Role.ADVISER, at("/staff/cases?stage=launched")),
    "case-new": (Role.ADVISER, on_case("new")),
    "case": (Role.COORDINATOR, on_case("rich")),
    "case-aside": (Role.ADVISER, on_case("aside")),
    "case-closed": (Role.ADVISER, on_case("closed")),
    "case-note-refused": (Role.ADVISER, on_case("new", "Write a note")),
    "case-conversation-refused": (Role.ADVISER, conversation_refused),
    "case-done-refused": (Role.ADVISER, done_half_told),
    "case-snooze-refused": (Role.ADVISER, side_form_refused("Move or cancel", "Snooze")),
    "case-outcome-refused": (Role.ADVISER, side_form_refused("Record the outcome", "Save")),
    "case-follow-up-refused": (Role.ADVISER, on_case("rich", "Plan a follow-up")),
    "case-talk-refused": (Role.ADVISER, on_case("new", "Book a talk")),
    "brief": (Role.ADVISER, at("/staff/cases/{rich}/brief")),
    "beside": (Role.ADVISER, at("/staff/cases/{new}/beside/{rich}")),
    "assessment": (Role.ADVISER, at("/staff/cases/{rich}/assessment")),
    "assessment-errors": (Role.ADVISER, assessment_with_errors),
    "case-move-refused": (Role.COORDINATOR, on_case("new", "Change the stage")),
    "refused": (Role.ADVISER, refused),
    "conflict": (Role.ADVISER, conflict),
    "refer": (Role.ADVISER, at("/staff/cases/{planning}/refer")),
    "refer-errors": (Role.ADVISER, refer_with_errors),
    "referral-sent": (Role.ADVISER, referral(0)),
    "referral-ready": (Role.ADVISER, referral(-1)),
    "referral-pending": (Role.ADVISER, numbered("pending")),
    "referral-asks": (Role.ADVISER, numbered("asks")),
    "referral-taken-on": (Role.ADVISER, numbered("taken")),
    "financing": (Role.ADVISER, at("/staff/cases/{asked}/financing")),
    "financing-errors": (Role.ADVISER, financing_with_errors),
    "financing-one": (Role.ADVISER, financing_one),
    "permission": (None, asked_for_permission),
    "body-list-landing": (
        None,
        lambda visit: visit.go({"fr": "/fr/organisme/", "en": "/en/organization/"}[visit.lang] + visit.site.list),
    ),
    "body-list": (None, body_list),
    "body-list-over": (None, body_list_over),
    "body-list-asked-again": (None, partial(body_list_over, asked=True)),
    "body-taken-on": (None, taken_on),
    "body-taken-on-errors": (None, partial(taken_on, then="blank")),
    "directory": (Role.ADVISER, at("/staff/partners")),
    "join": (Role.COORDINATOR, at("/staff/partners/risq/join")),
    "join-what-moves": (Role.COORDINATOR, what_joining_moves),
    "body": (Role.COORDINATOR, at("/staff/partners/cdrq")),
    "body-read": (Role.ADVISER, at("/staff/partners/cdrq")),
    "body-errors": (Role.COORDINATOR, body_with_errors),
    "body-conflict": (Role.COORDINATOR, body_conflict),
    "body-edit": (Role.COORDINATOR, at("/staff/partners/pme-mtl-est/edit")),
    "body-new-errors": (Role.COORDINATOR, new_body_with_errors),
    "person-of-body": (Role.COORDINATOR, person_of_body),
    "person-of-body-errors": (Role.COORDINATOR, partial(person_of_body, wrong=True)),
    "programme": (Role.COORDINATOR, at("/staff/partners/pme-mtl/programmes/pme-mtl-fdes")),
    "programme-edit": (Role.COORDINATOR, at("/staff/partners/pme-mtl/programmes/pme-mtl-fdes/edit")),
    "programme-errors": (Role.COORDINATOR, programme_with_errors),
    "programme-conflict": (Role.COORDINATOR, programme_conflict),
    "exchange": (Role.COORDINATOR, at("/staff/directory/exchange")),
    "exchange-wrong": (Role.COORDINATOR, partial(exchanged, content="{}")),
    "exchange-rehearsed": (
        Role.COORDINATOR,
        partial(exchanged, content='[{"id": "1", "name": "Prêts", "organization": {"id": "2", "name": "Élan"}}]'),
    ),
    "rules": (Role.ADVISER, at("/staff/directory/rules")),
    "rule": (Role.COORDINATOR, at("/staff/directory/rules/financing-after-support")),
    "rule-touches": (Role.COORDINATOR, touched_files),
    "fitting": (Role.ADVISER, lambda visit: visit.go(f"/staff/cases/{visit.site.refs['new']}/programmes")),
    "summaries": (Role.COORDINATOR, at("/staff/summaries")),
    "summary": (Role.ADVISER, at("/staff/summaries/2026-q2")),
    "indicators": (Role.ADVISER, at("/staff/summaries/2026-q4/indicators")),
    "course": (Role.ADVISER, at("/staff/summaries/2026-q4/course")),
    "course-files": (Role.ADVISER, at("/staff/summaries/2026-q4/course/received")),
    "indicator-files": (Role.ADVISER, at("/staff/summaries/2026-q4/indicators/received")),
    "summary-draft": (Role.COORDINATOR, at("/staff/summaries/2026-q3")),
    "summary-write": (Role.COORDINATOR, at("/staff/summaries/2026-q3/write")),
    "session": (Role.COORDINATOR, at("/staff/summaries/2026-q3/session")),
    "session-point": (Role.COORDINATOR, at("/staff/summaries/2026-q3/session/points/{point}")),
    "annex": (Role.COORDINATOR, at("/staff/summaries/2026-q4/annex")),
    "registers": (Role.COORDINATOR, at("/staff/privacy")),
    "rights": (Role.COORDINATOR, at("/staff/privacy/requests/{rights}")),
    "rights-wrong": (Role.COORDINATOR, sent_blank("/staff/privacy/requests/new")),
    "incident-entry": (Role.COORDINATOR, at("/staff/privacy/incidents/{incident}")),
    "incident-wrong": (Role.COORDINATOR, sent_blank("/staff/privacy/incidents/new")),
    "summary-now": (Role.COORDINATOR, at("/staff/summaries/2026-q4")),
    "summary-counted": (Role.ADVISER, at("/staff/summaries/2026-q2/counted/received")),
    "summaries-compared": (Role.ADVISER, at("/staff/summaries/compare?a=2026-q2&b=2026-q2")),
    "summaries-days-wrong": (Role.ADVISER, at("/staff/summaries/chosen?first=2026-09-01&last=2026-08-01")),
    "summaries-days": (Role.ADVISER, at("/staff/summaries/2026-09-01-2026-09-10/indicators")),
    "mail": (Role.COORDINATOR, at("/staff/mail")),
    "mail-sent": (Role.ADVISER, at("/staff/mail?show=sent")),
    "mailbox": (Role.ADVISER, at("/staff/mailbox")),
    "mailbox-one": (Role.ADVISER, at("/staff/mailbox/{received}")),
    "mailbox-one-errors": (Role.ADVISER, sent_blank("/staff/mailbox/{received}", "#reference")),
    "mail-of-file": (Role.COORDINATOR, at("/staff/mail?file={rich}")),
    "mail-one": (Role.COORDINATOR, one_message),
    "my-mail": (Role.ADVISER, at("/staff/my-mail")),
    "worker": (Role.COORDINATOR, at("/staff/worker")),
    "plan": (Role.COORDINATOR, at("/staff/plan")),
    "plan-looked-at": (Role.COORDINATOR, plan_looked_at),
    "plan-errors": (Role.COORDINATOR, plan_with_errors),
    "calendar": (Role.ADVISER, at("/staff/calendar")),
    "text-of-mail": (Role.COORDINATOR, at("/staff/texts/intake.mail.received.body")),
    "survey": (None, survey),
    "survey-errors": (None, partial(survey, then="blank")),
    "survey-thanks": (None, partial(survey, then="answered")),
    "staff-not-found": (Role.ADVISER, at("/staff/cases/PCC-0000-0000")),
}


@pytest.mark.parametrize("lang", ["fr", "en"])
@pytest.mark.parametrize("name", PAGES)
def test_page(window, full, name, lang):
    role, go = PAGES[name]
    visit = window(full, lang, NARROW, person=full.person(role, lang) if role else None)
    go(visit)
    judged = JUDGED[list(PAGES).index(name) % len(JUDGED)][lang]
    for width in (NARROW, WIDE):
        for scheme in ("light", "dark"):
            visit.look(width, scheme)
            visit.check(name, open_all=True, axe=(width, scheme) == judged)
    visit.look(NARROW, "light")
    visit.check_spaced()
