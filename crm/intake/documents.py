"""The page of the request where documents may be added: off unless the programme asks for them, and never needed.

What is added is checked before any transaction, kept sealed for a day with the draft, and given to the file when the request is sent.
Whatever becomes of a document, the text of the request goes on without it.
"""

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from crm.access import public
from crm.cases.documents import Refused, sent_files, words_of
from crm.db import db
from crm.files import services as files
from crm.files.kinds import MOST, FileRefusal, FileRefusedError
from crm.i18n import in_both_languages, language
from crm.intake import drafts, services
from crm.intake.browser import (
    address_of,
    already_sent,
    begin_draft,
    draft_here,
    next_page,
    order_of_pages,
    under_way,
    with_cookie,
)
from crm.intake.drafts import Content
from crm.intake.models import Draft
from crm.security import takes_files
from crm.texts import text
from crm.texts.facts import programme

bp = Blueprint("attach", __name__)
PAGE = "documents"


@in_both_languages(bp, "/fr/demande/documents", "/en/request/documents")
@public
def page(lang: str) -> str | BaseResponse:
    del lang
    if PAGE not in order_of_pages():
        return redirect(address_of("check"))
    draft = under_way()
    return _page(draft, drafts.content_of(draft), []) if isinstance(draft, Draft) else draft


def _page(draft: Draft, content: Content, refused: list[Refused]) -> str:
    order = order_of_pages()
    return render_template(
        "intake/documents.html",
        number=order.index(PAGE) + 1,
        pages=len(order),
        from_check="check" in request.values,
        kept=files.staged_names(draft.id),
        gone=services.documents_gone(draft, content),
        errors=words_of(refused),
        facts=services.notice_values(),
    )


@in_both_languages(bp, "/fr/demande/documents", "/en/request/documents", ("POST",))
@takes_files
@public
def save(lang: str) -> BaseResponse:
    """Add what was chosen, whichever button was pressed; then do what it says."""
    del lang
    if PAGE not in order_of_pages():  # it was switched off meanwhile
        if any(sent.filename for sent in request.files.values()):
            flash(text("intake.documents.off"))
        return redirect(address_of("check"), 303)
    checked, refused = sent_files()
    draft = draft_here(lock=True)
    found = draft is not None
    draft = draft or begin_draft()
    db.session.flush()  # a new draft gets its number
    if sent := drafts.sent_as(draft):
        if checked:
            flash(text("intake.documents.too_late", names=", ".join(one.name for one in checked)))
        return already_sent(sent)
    content = drafts.content_of(draft)
    there = files.staged(draft.id)
    for row in there:
        if request.form.get("_remove") == str(row.id):
            files.forget(row)
    content.documents = {str(row.id): name for row, name in files.staged_names(draft.id)}
    for one in checked:
        try:
            if len(content.documents) >= MOST:
                raise FileRefusedError(FileRefusal.MOST, one.name)  # noqa: TRY301 - told like the others
            content.documents[str(files.stage(one, draft.id).id)] = one.name
        except FileRefusedError as error:
            refused.append(error)
    drafts.save(draft, content)
    if refused:
        response: BaseResponse = make_response(_page(draft, content, refused), 422)
    else:
        response = _after(content, added=len(checked), found=found)
    response = with_cookie(response, draft)
    db.session.commit()
    return response


def _after(content: Content, *, added: int, found: bool) -> BaseResponse:
    """Where each button leads, once what was chosen is kept."""
    from_check = "check" in request.form
    back_to_check = {"check": "1"} if from_check else {}
    if other := request.form.get("_lang"):
        return redirect(address_of(PAGE, lang="en" if other == "en" else "fr", **back_to_check), 303)
    if request.form.get("_later"):
        return redirect(url_for("intake.later", lang=language(), page=PAGE), 303)
    order = order_of_pages()
    if request.form.get("_back"):
        return redirect(address_of("check" if from_check else order[order.index(PAGE) - 1]), 303)
    if request.form.get("_add") or request.form.get("_remove"):
        if not added and not request.form.get("_remove"):
            flash(text("intake.documents.choose"))
        return redirect(address_of(PAGE, **back_to_check), 303)
    if not found:
        flash(text("intake.refusal.lost", phone=programme().phone))
        return redirect(address_of(next_page(content)), 303)
    return redirect(address_of("check" if from_check else order[order.index(PAGE) + 1]), 303)
