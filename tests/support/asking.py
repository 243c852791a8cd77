"""Asking to talk as a person does: page after page, as each page's own form leads."""

from datetime import timedelta

from sqlalchemy import update

from crm import clock
from crm.db import db, writing
from crm.intake.browser import SLUGS
from crm.intake.forms import PAGES
from crm.intake.models import Draft

START = {"fr": "/fr/demande", "en": "/en/request"}
CHECK = {"fr": "/fr/demande/verifier", "en": "/en/request/check"}
PLACE = {"fr": 0, "en": 1}


def address(page: str, lang: str = "fr") -> str:
    """Where a page of questions is."""
    return CHECK[lang] if page == "check" else f"{START[lang]}/{SLUGS[page][PLACE[lang]]}"


def own(page: str, answers: dict) -> dict:
    """The answers to the questions of one page."""
    return {name: answers[name] for name in PAGES[page].questions() if name in answers}


def begin(pages, lang: str = "fr"):
    """A draft of this browser, begun a while ago: a person takes longer than a test."""
    pages.get(START[lang])
    answer = pages.post(START[lang])
    with pages.client.application.app_context(), writing():
        age_drafts(db.session)
        db.session.commit()
    return answer


def age_drafts(session) -> None:
    """Every draft was begun five minutes ago at least."""
    session.execute(update(Draft).values(started_at=clock.now() - timedelta(minutes=5)))


def fill(pages, answers: dict, lang: str = "fr", *, only: tuple[str, ...] = tuple(PAGES)):
    """Send each page with its answers, right or wrong."""
    for page in only:
        pages.get(address(page, lang))
        token = pages.token()
        answer = pages.client.post(
            address(page, lang),
            data=own(page, answers) | {"csrf_token": token},
            headers={"Host": "127.0.0.1:8000"},
        )
        assert answer.status_code in {303, 422}, f"{page} answered {answer.status_code}"


def ask(pages, answers: dict, lang: str = "fr", status: int = 303):
    """The whole request; gives the answer to its last button."""
    begin(pages, lang)
    fill(pages, answers, lang)
    pages.get(CHECK[lang])
    return pages.post(CHECK[lang], status=status)
