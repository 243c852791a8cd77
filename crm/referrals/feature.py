"""Plugs referrals into the product."""

from collections.abc import Callable

from crm.cases.filters import Facet
from crm.cases.listing import ListColumn
from crm.config import LANGUAGES
from crm.feature import Feature, MergePart, Panel, TodayPart
from crm.i18n import lazy
from crm.jobs import Job
from crm.outbox.kinds import MessageKind
from crm.outbox.models import Message
from crm.referrals import answers, body_views, chasing, person_views, queries, services
from crm.referrals.views import bp, load
from crm.search.services import Searched
from crm.timeline.sentences import Sentence

_CODES = frozenset({"referral", "body", "decline_reason", "outcome", "was"})
_DETAIL = frozenset({"body_name", "note"})
_MAIL = frozenset({"referral", "message"})


def _sentence(what: str, tone: str) -> Sentence:
    return Sentence(
        f"referral.{what}",
        f"referrals.event.{what}",
        tone,
        _CODES,
        _DETAIL,
        labels={
            "decline_reason": "referrals.decline_reason",
            "outcome": "referrals.outcome",
            "was": "referrals.status",
        },
        body="note",
    )


def _mail(
    what: str,
    still_true: Callable[[Message], bool],
    on_final: Callable[[Message], None] = services.note_final,
) -> MessageKind:
    return MessageKind(f"referrals.{what}", f"referrals.mail.{what}", still_true=still_true, on_final=on_final)


ANSWERED = ("accepted", "declined", "info_asked", "completed", "interrupted", "corrected")


feature = Feature(
    name="referrals",
    blueprints=(bp, body_views.bp, person_views.bp),
    panels=(Panel("side", "referrals/panel.html", load, rows=queries.rows, shown=queries.shown),),
    event_sentences=(
        _sentence("prepared", "internal"),
        _sentence("self", "internal"),
        _sentence("sent", "outgoing"),
        _sentence("seen", "incoming"),
        *(_sentence(what, "incoming") for what in ANSWERED),
        *(_sentence(f"{what}_for", "incoming") for what in ANSWERED),
        _sentence("permission_asked", "outgoing"),
        _sentence("sent_itself", "outgoing"),
        _sentence("allowed", "incoming"),
        _sentence("allowed_for", "incoming"),
        _sentence("refused", "incoming"),
        _sentence("refused_for", "incoming"),
        _sentence("goes_alone", "incoming"),
        _sentence("replied", "outgoing"),
        _sentence("next", "incoming"),
        _sentence("next_for", "incoming"),
        _sentence("no_answer", "internal"),
        _sentence("withdrawn", "outgoing"),
        _sentence("expired", "outgoing"),
        Sentence("referral.chased", "referrals.event.chased", "outgoing", _MAIL, frozenset({"to_name"})),
        Sentence("referral.chase_failed", "referrals.event.chase_failed", "failed", _MAIL, frozenset({"to_name"})),
        Sentence("referral.mail_sent", "referrals.event.mail_sent", "outgoing", _MAIL, frozenset({"to_name"})),
        Sentence("referral.mail_failed", "referrals.event.mail_failed", "failed", _MAIL, frozenset({"to_name"})),
    ),
    merge=(MergePart("referral", services.move_on, services.move_back),),
    case_guards=(services.guard,),
    case_moved=(services.moved,),
    today=(TodayPart("bodies", "referrals/today.html", queries.owed_answers),),
    case_turns=(queries.turns, queries.turns_of_the_asked),
    case_facets=(Facet("body", lazy("Referred to"), queries.bodies_to_choose, queries.went_to),),
    case_columns=(
        ListColumn(
            "body",
            lazy("Referred to"),
            tuple(queries.where_they_went(lang).label(f"bodies_{lang}") for lang in LANGUAGES),
            template="referrals/column.html",
        ),
    ),
    search_text=(Searched("referral", queries.bodies_of_files, shown=1),),
    jobs=(
        Job("chase_bodies", chasing.chase_bodies, every=300),
        Job("give_up_waiting", answers.give_up_waiting, every=300),
        Job("end_permissions", answers.end_what_lapsed, every=300),
    ),
    messages=(
        MessageKind(
            "referrals.chase",
            "referrals.mail.chase",
            written_anew=chasing.written_now,
            on_final=chasing.note_final,
        ),
        _mail("invitation", services.still_open, services.note_invitation),
        _mail("withdrawn", services.invitation_left),
        _mail("expired", services.invitation_left),
        _mail("reply", services.still_open),
        _mail("permission", services.still_asked),
        *(_mail(f"person_{status}", answers.still_so) for status in sorted(answers.TOLD)),
        MessageKind("referrals.list", "referrals.mail.list", still_true=services.still_theirs),
        MessageKind("referrals.waiting", "referrals.mail.waiting", still_true=chasing.still_waits),
    ),
)
