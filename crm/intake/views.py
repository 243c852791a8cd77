"""The public pages: home, the request page by page, its confirmation, and coming back to an unfinished one.

Each page of questions is a form that saves what was typed before anything else, whichever of its buttons is pressed:
continue, back, later, or the other language. So leaving a page never loses a letter, and only *continue* judges.
"""

import secrets
from collections.abc import Callable, Mapping

import wtforms
from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response as BaseResponse

from crm import clock, forms, robots
from crm.access import by_link, public
from crm.cases import documents
from crm.cases.addresses import link_of
from crm.cases.models import Case
from crm.cases.vocabulary import Stage
from crm.db import db
from crm.errors import page as error_page
from crm.files import services as files
from crm.formats import read_email, suggested_email
from crm.forms import Filled
from crm.i18n import View, format_date, gettext, in_both_languages, language, lazy
from crm.intake import drafts, services
from crm.intake.answers import in_words
from crm.intake.browser import (
    SLUGS,
    address_of,
    already_sent,
    begin_draft,
    draft_here,
    lost,
    next_page,
    order_of_pages,
    under_way,
    with_cookie,
)
from crm.intake.drafts import Content
from crm.intake.forms import PAGES, AddressForm, QuestionPage, Whole, applies, read
from crm.intake.models import Draft, Request
from crm.links import cookies
from crm.links.models import Purpose
from crm.links.services import opened
from crm.security import client_network, counted, too_often
from crm.texts import label, text
from crm.texts.facts import form_is_open, programme

bp = Blueprint("intake", __name__)
TRIES = 3


@bp.get("/")
@public
def root() -> BaseResponse:
    """French first; a link leads to English."""
    return redirect(url_for("intake.home", lang="fr"))


@in_both_languages(bp, "/fr/", "/en/")
@public
def home(lang: str) -> str:
    del lang
    return render_template("intake/home.html")


# --- beginning -------------------------------------------------------------------------------------------------------


@in_both_languages(bp, "/fr/demande", "/en/request")
@public
def start(lang: str) -> str:
    """What will be asked, why, and what becomes of it; and the way back to a request that was begun here."""
    del lang
    draft = draft_here()
    begun = draft if draft is not None and draft.request_id is None else None
    if begun is None and not form_is_open():
        return render_template("intake/closed.html")
    return render_template(
        "intake/start.html",
        facts=services.notice_values(),
        begun=begun,
        kept_until=clock.local_date(drafts.expires_at(begun)) if begun else None,
    )


@in_both_languages(bp, "/fr/demande", "/en/request", ("POST",))
@public
def begin(lang: str) -> BaseResponse:
    """The button was pressed: a draft, unless one is being written here; twice makes one."""
    del lang
    draft = draft_here()
    if draft is None or draft.request_id is not None or request.form.get("fresh"):
        if not form_is_open():
            return redirect(url_for("intake.start", lang=language()), 303)
        draft = begin_draft()
        where = "you"
    else:
        where = next_page(drafts.content_of(draft))
    response = with_cookie(redirect(address_of(where), 303), draft)
    db.session.commit()
    return response


# --- the pages of questions ------------------------------------------------------------------------------------------


def _in_both(methods: tuple[str, ...]) -> Callable[[View], View]:
    """One view for the pages of questions, each under an address readable in its language."""

    def add(view: View) -> View:
        for page, slugs in SLUGS.items():
            for lang, base, slug in (("fr", "/fr/demande", slugs[0]), ("en", "/en/request", slugs[1])):
                bp.add_url_rule(
                    f"{base}/{slug}",
                    view.__name__,
                    view,
                    defaults={"lang": lang, "page": page},
                    methods=list(methods),
                )
        return view

    return add


@_in_both(("GET",))
@public
def question_page(lang: str, page: str) -> str | BaseResponse:
    del lang
    if page not in order_of_pages():
        abort(404)
    draft = under_way()
    if not isinstance(draft, Draft):
        return draft
    content = drafts.content_of(draft)
    form = PAGES[page](content.answers)
    if page in content.judged:
        form.validate()
    return _page(form, content, from_check="check" in request.args)


def _page(form: QuestionPage, content: Content, *, from_check: bool, replaced: Mapping[str, list[str]] = {}) -> str:
    order = order_of_pages()
    place = order.index(form.page)
    return render_template(
        "intake/page.html",
        form=form,
        page=form.page,
        number=place + 1,
        pages=len(order),
        from_check=from_check,
        trap=robots.TRAP,
        facts=services.notice_values(),
        consents=services.consents_offered() if form.page == "choices" else (),
        wording=services.consent_wording,
        tab=secrets.token_urlsafe(6),
        seen=" ".join(drafts.mark_of(content.answers.get(name, [])) for name in form.questions()),
        replaced=[
            (label("intake.answer", name), in_words(form.page, name, values)) for name, values in replaced.items()
        ],
    )


@_in_both(("POST",))
@public
def save_page(lang: str, page: str) -> BaseResponse:
    """Save, then do what the button says. Answers 204 to the page's own script, which saves while one types."""
    del lang
    if page not in order_of_pages():
        abort(404)
    questions = PAGES[page].questions()
    typed = {name: request.form.getlist(name) for name in questions}
    in_passing = request.form.get("_save")
    if in_passing is not None:
        # Another tab may hold this page too: only what was changed in this one is taken.
        changed = in_passing.split(",")
        typed = {name: values for name, values in typed.items() if name in changed}
    draft = draft_here(lock=True)
    found = draft is not None
    if draft is None:
        if in_passing is not None:
            return _to_script(410)
        draft = begin_draft()
    if sent := drafts.sent_as(draft):
        return _to_script(410) if in_passing is not None else already_sent(sent, typed)
    content = drafts.content_of(draft)
    seen = {} if in_passing is not None else _seen(questions)
    replaced = content.merge(typed, tab=request.form.get("_tab", "")[:16], seen=seen)
    content.trapped |= bool(request.form.get(robots.TRAP))
    form = PAGES[page](content.answers)
    judges = in_passing is None and not any(request.form.get(name) for name in ("_lang", "_back", "_later"))
    if judges:
        content.judge(page, wrong=not form.validate())
    drafts.save(draft, content)
    if replaced:  # another window answered otherwise: nobody leaves before seeing it
        body = _page(form, content, from_check="check" in request.form, replaced=replaced)
        response: BaseResponse = make_response(body, 409)
    else:
        response = _to_script(204) if in_passing is not None else _after(form, content, found=found)
    response = with_cookie(response, draft)
    db.session.commit()
    return response


def _seen(questions: list[str]) -> dict[str, str]:
    """The mark of each answer as it was when this window was drawn; none from a form that does not tell."""
    marks = request.form.get("_seen", "").split(" ")
    return dict(zip(questions, marks, strict=True)) if len(marks) == len(questions) else {}


def _to_script(status: int) -> Response:
    """An answer that nobody reads: kept (204), or nothing to keep it in any more (410)."""
    return Response(status=status, content_type="text/plain")


def _after(form: QuestionPage, content: Content, *, found: bool) -> BaseResponse:
    """Where each button of a page leads, once what was typed is kept."""
    order = order_of_pages()
    from_check = "check" in request.form
    back_to_check = {"check": "1"} if from_check else {}
    if other := request.form.get("_lang"):
        return redirect(address_of(form.page, lang="en" if other == "en" else "fr", **back_to_check), 303)
    if request.form.get("_later"):
        return redirect(url_for("intake.later", lang=language(), page=form.page), 303)
    if request.form.get("_back"):
        if from_check:
            return redirect(address_of("check"), 303)
        place = order.index(form.page)
        return redirect(address_of(order[place - 1]) if place else url_for("intake.start", lang=language()), 303)
    if form.page in content.judged:
        return make_response(_page(form, content, from_check=from_check), 422)
    if not found:
        flash(text("intake.refusal.lost", phone=programme().phone))
        return redirect(address_of(next_page(content)), 303)
    following = "check" if from_check else order[order.index(form.page) + 1]
    return redirect(address_of(following), 303)


# --- check and send --------------------------------------------------------------------------------------------------


@in_both_languages(bp, "/fr/demande/verifier", "/en/request/check")
@public
def check(lang: str) -> str | BaseResponse:
    del lang
    draft = under_way()
    if not isinstance(draft, Draft):
        return draft
    content = drafts.content_of(draft)
    return _check_page(draft, content, errors=[])


def _check_page(draft: Draft, content: Content, *, errors: list[tuple[str, str]]) -> str:
    *asked, _check = order_of_pages()
    pages = {code: PAGES[code](content.answers) if code in PAGES else None for code in asked}
    email = (content.answers.get("email") or [""])[0]
    return render_template(
        "intake/check.html",
        pages=pages,
        answers=content.answers,
        applies=applies,
        errors=errors,
        suggestion=suggested_email(read_email(email) or ""),
        facts=services.notice_values(),
        number=len(asked) + 1,
        last=address_of(asked[-1]),
        address_of=address_of,
        documents=[name for _, name in files.staged_names(draft.id)] if "documents" in asked else [],
        documents_gone=services.documents_gone(draft, content) if "documents" in asked else [],
        consents=services.consents_offered(),
        puzzle=robots.puzzle(draft.key),
        bits=robots.bits_asked(),
    )


@in_both_languages(bp, "/fr/demande/verifier", "/en/request/check", ("POST",))
@public
def send(lang: str) -> BaseResponse:
    """Judge everything again, then send, once. Twenty presses make one request and lead to one confirmation."""
    for _ in range(TRIES):
        draft = draft_here(lock=True)
        if draft is None:
            return lost()
        if sent := drafts.sent_as(draft):
            return _to_confirmation(sent)
        content = drafts.content_of(draft)
        if request.form.get("_email"):
            return _take_suggestion(draft, content)
        whole = read(content.answers)
        if not whole.valid:
            for page in whole.wrong_pages():
                content.judge(page, wrong=True)
            drafts.save(draft, content)
            db.session.commit()
            return make_response(_check_page(draft, content, errors=_mending(whole)), 422)
        many = counted("request", client_network(), seconds=3600)
        proven = robots.is_solved(draft.key, request.form.get("proof", ""))
        suspect = services.why_suspect(draft, content, whole, from_network=many, proven=proven)
        try:
            received = services.receive(whole, key=draft.key, page_language=lang, why_suspect=suspect)
            gone = services.documents_gone(draft, content)
            if content.documents:
                documents.keep_staged(draft.id, received.case)
            drafts.finish(draft, received)
            response = _to_confirmation(received)
            session["sent"] = (received.case_id, clock.now().timestamp())
            db.session.commit()
        except IntegrityError as error:
            # The reference drawn is in use: another one is drawn.
            db.session.rollback()
            refused = error
        else:
            if gone:
                flash(text("intake.documents.not_sent", names=", ".join(gone)))
            return response
    raise refused


def _mending(whole: Whole) -> list[tuple[str, str]]:
    """Each fault with the address of its question, from where one comes back to the check."""
    return [
        (address_of(code, check=1) + link, message)
        for code, form in whole.pages.items()
        for link, message in form.error_links()
    ]


def _take_suggestion(draft: Draft, content: Content) -> BaseResponse:
    """The person meant the address that was suggested."""
    typed = read_email((content.answers.get("email") or [""])[0])
    if typed and (meant := suggested_email(typed)):
        content.put({"email": [meant]})
        drafts.save(draft, content)
        db.session.commit()
    return redirect(address_of("check"), 303)


def _to_confirmation(sent: Request) -> BaseResponse:
    return redirect(url_for("intake.received", lang=language(), token=services.receipt_token(sent)), 303)


@in_both_languages(bp, "/fr/demande/recue/<token>", "/en/request/received/<token>")
@public
def received(lang: str, token: str) -> str | Response:
    del lang
    case = services.case_of_receipt(token)
    if case is None:
        return _no_confirmation()
    here = _sent_here(case)
    return render_template(
        "intake/received.html",
        case=case,
        token=token,
        printed=services.printed_link(case) if here else "",
        offers=here and case.stage is not Stage.CLOSED,
    )


def _no_confirmation() -> Response:
    return error_page(404, gettext("This page cannot be found"), gettext("Check the address of your confirmation."))


def _sent_here(case: Case) -> bool:
    """Whether this browser pressed *send* a moment ago: then it may open the page without the mailed link.

    Holding the draft is not enough: it may have been begun on another device, which others use.
    """
    number, at = session.get("sent", (0, 0.0))
    return bool(number == case.id and clock.now().timestamp() - at < cookies.LIVES.seconds)


@in_both_languages(bp, "/fr/demande/recue/<token>", "/en/request/received/<token>", ("POST",))
@public
def open_page(lang: str, token: str) -> BaseResponse:
    """From the confirmation to the person's own page, in the browser that sent the request; elsewhere, the link serves."""
    case = services.case_of_receipt(token)
    if case is None:
        return _no_confirmation()
    if not _sent_here(case):
        return redirect(url_for("portal.page", lang=lang), 303)
    response = cookies.keep(redirect(url_for("portal.times", lang=lang), 303), link_of(case))
    db.session.commit()
    return response


# --- later, or on another device -------------------------------------------------------------------------------------


class CodeForm(forms.Form):
    code = wtforms.StringField(
        lazy("Your code"),
        [Filled(lazy("Type the code that was on the screen"))],
        render_kw={"autocomplete": "off", "spellcheck": "false", "short": True},
        description=lazy("Twelve letters and digits, like 7K4M-2T9R-3B8C."),
    )


def _back_page() -> str:
    """The page one came from; the first when that is not told."""
    came_from = request.values.get("page", "")
    return came_from if came_from in order_of_pages() else "you"


@in_both_languages(bp, "/fr/demande/plus-tard", "/en/request/later")
@public
def later(lang: str) -> str | BaseResponse:
    del lang
    draft = under_way()
    if not isinstance(draft, Draft):
        return draft
    return _later_page(draft, AddressForm(data={"email": (drafts.content_of(draft).answers.get("email") or [""])[0]}))


def _later_page(draft: Draft, form: AddressForm) -> str:
    return render_template(
        "intake/later.html",
        form=form,
        code=drafts.code_of(draft),
        kept_until=clock.local_date(drafts.expires_at(draft)),
        page=_back_page(),
        back=address_of(_back_page()),
        documents=bool(drafts.content_of(draft).documents),
    )


@in_both_languages(bp, "/fr/demande/plus-tard", "/en/request/later", ("POST",))
@public
def mail_link(lang: str) -> BaseResponse:
    """A link to this draft, mailed on demand to the address typed here."""
    draft = under_way()
    if not isinstance(draft, Draft):
        return draft
    form = AddressForm(request.form)
    if request.form.get("_lang"):
        return make_response(_later_page(draft, form))
    if not form.validate():
        return make_response(_later_page(draft, form), 422)
    address = form.address
    if too_often("resume-mail", client_network(), limit=10, seconds=3600) or too_often(
        "resume-mail-to", address.lower(), limit=3, seconds=6 * 3600
    ):
        form.email.errors = [text("intake.later.too_often")]
        return make_response(_later_page(draft, form), 429)
    drafts.mail_link(draft, address, lang)
    db.session.commit()
    flash(text("intake.later.mailed", address=address))
    return redirect(url_for("intake.later", lang=lang, page=_back_page()), 303)


@in_both_languages(bp, "/fr/demande/reprendre", "/en/request/resume")
@public
def resume(lang: str) -> str:
    del lang
    return render_template("intake/resume.html", form=CodeForm())


@in_both_languages(bp, "/fr/demande/reprendre", "/en/request/resume", ("POST",))
@public
def resume_by_code(lang: str) -> BaseResponse:
    del lang
    form = CodeForm(request.form)
    if request.form.get("_lang"):
        return make_response(render_template("intake/resume.html", form=form))
    if too_often("resume-code", client_network(), limit=10, seconds=300):
        form.code.errors = [gettext("Too many tries. Wait five minutes, then try again")]
        response = make_response(render_template("intake/resume.html", form=form), 429)
        response.headers["Retry-After"] = "300"
        return response
    if not form.validate():
        return make_response(render_template("intake/resume.html", form=form), 422)
    draft = drafts.of_code(form.code.data or "")
    if draft is None:
        form.code.errors = [text("intake.resume.unknown")]
        return make_response(render_template("intake/resume.html", form=form), 422)
    return _go_on_with(draft)


@in_both_languages(bp, "/fr/demande/reprendre/<token>", "/en/request/resume/<token>")
@by_link
def resume_landing(lang: str, token: str) -> str | Response:
    """Says what the link opens; reading it, however often and by whatever scanner, changes nothing."""
    del lang
    draft = drafts.of_link(opened(token, Purpose.RESUME))
    if draft is None:
        return _dead_link()
    here = draft_here()
    other = here if here is not None and here.id != draft.id and here.request_id is None else None
    return render_template(
        "intake/resume_landing.html",
        token=token,
        kept_until=format_date(clock.local_date(drafts.expires_at(draft))),
        other_code=drafts.code_of(other) if other else "",
    )


@in_both_languages(bp, "/fr/demande/reprendre/<token>", "/en/request/resume/<token>", ("POST",))
@by_link
def resume_by_link(lang: str, token: str) -> BaseResponse:
    del lang
    draft = drafts.of_link(cookies.pressed(token, Purpose.RESUME))
    return _dead_link() if draft is None else _go_on_with(draft)


def _dead_link() -> Response:
    return error_page(
        404,
        gettext("This link does not work any more"),
        text("intake.resume.dead", phone=programme().phone),
    )


def _go_on_with(draft: Draft) -> BaseResponse:
    """This browser now holds the draft, at the first page that is not answered yet."""
    if sent := drafts.sent_as(draft):
        return already_sent(sent)
    return with_cookie(redirect(address_of(next_page(drafts.content_of(draft))), 303), draft)
