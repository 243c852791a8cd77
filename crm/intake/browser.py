"""The draft that this browser holds, the pages of a request in their order, and where each of them is."""

from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, request, url_for
from werkzeug.exceptions import TooManyRequests
from werkzeug.wrappers import Response as BaseResponse

from crm.errors import page as error_page
from crm.forms import typed_names
from crm.i18n import gettext, language
from crm.intake import drafts, services
from crm.intake.drafts import Content
from crm.intake.forms import PAGE_OF, PAGES, read
from crm.intake.models import Draft, Request
from crm.security import client_network, own_cookie, set_own_cookie, too_often
from crm.texts import text
from crm.texts.facts import programme

SLUGS = {
    "you": ("vous", "you"),
    "reach": ("vous-joindre", "reach-you"),
    "project": ("projet", "project"),
    "form": ("forme-juridique", "legal-form"),
    "territory": ("territoire-equipe", "territory-team"),
    "needs": ("besoins", "needs"),
    "choices": ("choix", "choices"),
}


def held() -> str:
    """What this browser holds of a draft."""
    return request.cookies.get(own_cookie("draft"), "")


def draft_here(*, lock: bool = False) -> Draft | None:
    return drafts.of_cookie(held(), lock=lock)


def under_way() -> Draft | BaseResponse:
    """The draft being written in this browser; without one, or once it is sent, where to go instead."""
    draft = draft_here()
    if draft is None:
        return lost()
    sent = drafts.sent_as(draft)
    return already_sent(sent) if sent else draft


def with_cookie(response: BaseResponse, draft: Draft) -> BaseResponse:
    set_own_cookie(response, "draft", drafts.cookie_of(draft), lives=drafts.LIVES)
    return response


def begin_draft() -> Draft:
    """A new draft. Raises TooManyRequests when one network begins too many: drafts only, never requests."""
    if too_often("draft", client_network(), limit=60, seconds=3600):
        raise TooManyRequests
    return drafts.begin()


def address_of(page: str, **values: Any) -> str:
    lang = values.pop("lang", language())
    if page == "check":
        return url_for("intake.check", lang=lang, **values)
    if page == "documents":
        return url_for("attach.page", lang=lang, **values)
    return url_for("intake.question_page", lang=lang, page=page, **values)


def order_of_pages() -> list[str]:
    """The pages of a request: those of documents and of optional consents only when the programme asks for some."""
    asked = [page for page in PAGES if page != "choices"]
    documents = ["documents"] if programme().asks_files else []
    return [*asked, *documents, *(["choices"] if services.consents_offered() else []), "check"]


def next_page(content: Content) -> str:
    """The first page that is not answered rightly yet."""
    return next(iter(read(content.answers).wrong_pages()), "check")


def already_sent(sent: Request, typed: Mapping[str, list[str]] = {}) -> BaseResponse:
    """Back, refresh or another tab after sending: the same confirmation; what was typed since is given back."""
    said = text("intake.refusal.already_sent", reference=sent.case.reference)
    words = [
        one for name, values in typed.items() for one in values if one and PAGE_OF.get(name) and name in typed_names()
    ]
    if words:
        mend = text("intake.refusal.already_sent_typed", email=programme().email)
        return error_page(409, gettext("This cannot be done now"), said, mend, *words)
    flash(said)
    return redirect(url_for("intake.received", lang=language(), token=services.receipt_token(sent)), 303)


def lost() -> BaseResponse:
    """A page of the request without its draft: say so where one begins."""
    if held():
        flash(text("intake.refusal.lost", phone=programme().phone))
    return redirect(url_for("intake.start", lang=language()), 303)
