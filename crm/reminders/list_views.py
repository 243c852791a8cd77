"""The list of my follow-ups."""

from datetime import date

from flask import Blueprint, render_template, request, url_for

from crm import clock
from crm.access import case_team
from crm.accounts.feature import me
from crm.outbox.queries import mail_trouble
from crm.reminders import today
from crm.reminders.services import title_of

bp = Blueprint("follow_ups", __name__, url_prefix="/staff/follow-ups")


@bp.get("")
@case_team
def mine() -> str:
    """Mine, the earliest first; `after` is where the page before ended."""
    when = request.args.get("when", "all")
    when = when if when in today.WHEN else "all"
    found = today.mine(me(), when, _read_place(request.args.get("after", "")), today.PAGE + 1)
    shown = found[: today.PAGE]
    after = ""
    if len(found) > today.PAGE:
        last = shown[-1].FollowUp
        after = url_for("follow_ups.mine", when=when, after=f"{last.due_on.isoformat()}.{last.id}")
    return render_template(
        "reminders/mine.html",
        rows=shown,
        when=when,
        after=after,
        due=today.due(me()),
        title_of=title_of,
        today=clock.today(),
        trouble=mail_trouble(),
    )


def _read_place(value: str) -> tuple[date, int] | None:
    """The place of a page's address; None, which is the first page, for anything that is not one."""
    day, _, number = value.partition(".")
    try:
        found = date.fromisoformat(day), int(number)
    except ValueError:
        return None
    return found if number.isascii() and 0 <= found[1] < 2**31 else None
