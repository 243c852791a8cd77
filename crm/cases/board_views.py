"""The board, and moving a file from it: by dragging a card, or by a page that asks what the move needs."""

from typing import Any

from flask import Blueprint, Response, flash, jsonify, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from crm.access import case_team
from crm.accounts.feature import me
from crm.cases import forms
from crm.cases.board import COUNTED, columns_of
from crm.cases.cells import cards_as_html
from crm.cases.filters import Filter
from crm.cases.listing import Look
from crm.cases.models import Case
from crm.cases.queue_views import BOARD, address_of, tools
from crm.cases.views import case_or_404, moves_of, try_to_move
from crm.db import db
from crm.i18n import gettext
from crm.texts import label


def join(bp: Blueprint) -> None:
    """The board and its moves stand under the address of files."""
    bp.add_url_rule("/board", "board", board)
    bp.add_url_rule("/<reference>/move", "move_page", move_page)
    bp.add_url_rule("/<reference>/move", "move_card", move_card, methods=["POST"])


@case_team
def board() -> str:
    wanted, ignored = Filter.read(request.args)
    look, also = Look.read(request.args)
    shown, carried = columns_of(me(), wanted), wanted.address()
    return render_template(
        "cases/board.html",
        shown=shown,
        most=COUNTED,
        stage_address={one.stage: address_of(wanted.but(stages=(one.stage,)), look) for one in shown},
        cards={one.stage: cards_as_html(one.cards, f"?{carried}" if carried else "") for one in shown},
        **tools(wanted, look, [*ignored, *also], BOARD),
    )


def _back() -> str:
    """The board that the move came from."""
    return address_of(Filter.read(request.args)[0], Look(), BOARD)


@case_team
def move_page(reference: str) -> str:
    """What a move needs, on a page of its own: works without dragging and without a script."""
    case = case_or_404(reference)
    form = forms.MoveForm(data={"to": request.args.get("to", ""), "seen": case.stage}, **moves_of(case))
    return _page(case, form)


def _page(case: Case, form: Any) -> str:
    return render_template("cases/move.html", case=case, form=form, back=_back(), address=request.full_path.rstrip("?"))


@case_team
def move_card(reference: str) -> BaseResponse:
    """Move a file from the board. Asked by a script, the answer is a few words to read out; otherwise a page."""
    by_script = request.headers.get("Accept") == "application/json"
    case, form, status = try_to_move(reference)
    if status != 200:
        if by_script:
            return _told(case, [str(message) for _address, message in form.error_links(0)])
        form.seen.data = case.stage
        return make_response(_page(case, form), status)
    db.session.commit()
    said = gettext("“%(title)s” moved to “%(stage)s”.", title=case.title, stage=label("cases.stage", case.stage))
    if by_script:
        return _told(case, [said], moved=True)
    flash(said)
    return redirect(_back(), 303)


def _told(case: Case, said: list[str], *, moved: bool = False) -> Response:
    """For the script: whether the card moved, where the file is, and what to read out. A refusal is an answer, not a fault."""
    return jsonify(moved=moved, stage=case.stage, said=said)
