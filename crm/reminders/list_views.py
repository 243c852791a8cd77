"""The list of my follow-ups."""

from datetime import date

from flask import Blueprint, render_template, request, url_for

from crm import clock
from crm.access import case_team
from crm.accounts.feature import me
from crm.outbox.queries import mail_trouble
from crm.paging import read_key, write_key
from crm.reminders import today
from crm.reminders.words import hour_of, title_of

bp = Blueprint("follow_ups", __name__, url_prefix="/staff/follow-ups")


@bp.get("")
@case_team
def mine() -> str:
    """Mine, the earliest first; `after` is where the page before ended."""
    when = request.args.get("when", "all")
    when = when if when in today.WHEN else "all"
    place = read_key(request.args.get("after", ""), date, int, int)
    place = None if place is None or None in place else place
    found = today.mine(me(), when, (place[0], place[1], place[2]) if place else None, today.PAGE + 1)
    shown = found[: today.PAGE]
    after = ""
    if len(found) > today.PAGE:
        last = shown[-1].FollowUp
        after = url_for("follow_ups.mine", when=when, after=write_key(last.due_on, last.due_minute, last.id))
    return render_template(
        "reminders/mine.html",
        rows=shown,
        when=when,
        after=after,
        due=today.due(me()),
        counted=today.COUNTED,
        title_of=title_of,
        hour_of=hour_of,
        today=clock.today(),
        trouble=mail_trouble(),
    )
