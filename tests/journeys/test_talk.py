"""Choosing a time to talk, moving it, cancelling it, and the person's own page: in a real browser, with real mail."""

import re
import uuid

import pytest
from playwright.sync_api import expect

from crm.access import Role
from crm.accounts.queries import by_email
from tests.journeys.conftest import THREE, TWO
from tests.journeys.site import Words, body_of, plain
from tests.journeys.test_entrepreneur import RECEIVED, begin, fill_all, go_on, some_email
from tests.support.talking import open_hours

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
in_two_settings = pytest.mark.parametrize("setting", TWO, indirect=True, ids=str)
in_three_settings = pytest.mark.parametrize("setting", THREE, indirect=True, ids=str)
PAGE = re.compile("/mon-dossier$|/my-file$")
TIMES = re.compile("/moments|/times")


def offered(site, lang) -> None:
    """An adviser who speaks this language offers every morning."""
    email = site.person(Role.ADVISER, lang, f"-{uuid.uuid4().hex[:6]}")
    with site.inside() as session:
        open_hours(session, by_email(email), languages=[lang])


@in_three_settings
@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_a_talk_is_chosen_moved_and_cancelled(window, setting, site, post, javascript):
    if not javascript and setting not in TWO:
        pytest.skip("without script, one of each language and width")
    lang = setting.lang
    offered(site, lang)
    visit = window(site, lang, setting.width, javascript=javascript)
    w, page = visit.w, visit.page
    begin(visit, lang)
    email = some_email("moment")
    fill_all(visit, lang, email)
    site.sql("UPDATE draft SET started_at = :then", then="2026-01-01 00:00:00+00:00")
    go_on(visit)
    page.wait_for_url(RECEIVED)
    visit.button(w.text("intake.received.time_button")).click()
    page.wait_for_url(TIMES)
    if javascript:
        visit.check("talk-times")
    visit.says(w.text("portal.times.zone"))
    page.locator('input[name="start"]').nth(2).check()
    go_on(visit)
    page.wait_for_url(PAGE)
    visit.says(w.text("portal.page.talk_move"))
    if javascript:
        visit.check("file-with-talk")

    site.send_due()
    kinds = [plain(mail["Subject"]) for mail in post.to(email)]
    assert len(kinds) == 2
    confirmed = post.to(email)[-1]
    assert [part.get_filename() for part in confirmed.iter_attachments()] == [w.text("talks.calendar.file")]
    ((adviser,),) = site.sql(
        "SELECT staff.email FROM talk JOIN staff ON staff.id = talk.adviser_id JOIN case_file ON case_file.id = talk.case_id "
        "JOIN contact ON contact.id = case_file.contact_id WHERE contact.email = :email", email=email,
    )  # fmt: skip
    assert post.to(adviser), "the adviser was not told"

    # On another device, by the link of the mail: the talk is moved, then cancelled.
    phone = window(site, lang, 360, javascript=javascript)
    phone.go(re.search(r"http://\S+", body_of(confirmed))[0].removeprefix(site.base))
    phone.button(w.text("portal.landing.open")).click()
    phone.page.wait_for_url(PAGE)
    phone.link(w.text("portal.page.talk_move")).click()
    phone.page.wait_for_url(TIMES)
    phone.page.locator('input[name="start"]').nth(6).check()
    phone.button(w.text("portal.times.book")).click()
    phone.page.wait_for_url(PAGE)
    phone.page.locator("summary", has_text=w.text("portal.page.talk_cancel")).click()
    phone.button(w.text("portal.page.talk_cancel_sure")).click()
    phone.says(w.text("portal.said.cancelled"))
    phone.says(w.text("portal.page.talk_none"))
    site.send_due()
    assert len(post.to(email)) == 3, "the move was overtaken by the cancellation and did not leave"


@in_two_settings
def test_the_page_changes_language_takes_a_message_and_withdraws(window, setting, site, post):
    lang, w = setting.lang, Words(setting.lang)
    visit = window(site, lang, setting.width)
    begin(visit, lang)
    email = some_email("page")
    fill_all(visit, lang, email)
    site.sql("UPDATE draft SET started_at = :then", then="2026-01-01 00:00:00+00:00")
    go_on(visit)
    visit.page.wait_for_url(RECEIVED)
    site.send_due()
    link = re.search(r"http://\S+", body_of(post.to(email)[0]))[0]
    other = window(site, lang, setting.width)
    other.go(link.removeprefix(site.base))
    other.check("file-landing")
    other.button(w.text("portal.landing.open")).click()
    other.page.wait_for_url(PAGE)
    other.link({"fr": "English", "en": "Français"}[lang]).click()
    other.says(Words(setting.other).text("portal.page.stands"))
    other.link({"fr": "Français", "en": "English"}[lang]).click()
    other.page.locator("#body").fill("Pouvez-vous m’appeler plutôt l’après-midi?")
    other.button(w.text("portal.page.write_send")).click()
    other.says(w.text("portal.said.written"))
    other.page.locator("summary", has_text=w.text("portal.page.withdraw")).click()
    other.page.locator('input[name="sure"]').check()
    other.button(w.text("portal.page.withdraw_button")).click()
    other.says(w.text("portal.said.withdrawn"))
    other.says(w.text("portal.stage.closed"))
    expect(other.page.locator('input[name="sure"]')).to_have_count(0)
    ((stage,),) = site.sql(
        "SELECT stage FROM case_file JOIN contact ON contact.id = case_file.contact_id WHERE email = :email",
        email=email,
    )
    assert stage == "closed"
