"""Plugs the person's own page, what the person and the team write to each other, and corrections of answers."""

from sqlalchemy import select

from crm.cases.merging import rows_of
from crm.feature import Feature, MailPart, Panel
from crm.outbox.kinds import MessageKind
from crm.portal import bulk, conversation, correction_views, corrections, message_views, services, stock
from crm.portal.models import Correction, PersonMessage, StaffMessage
from crm.portal.views import bp, staff_bp
from crm.search.services import Searched
from crm.timeline.sentences import Sentence

_BODY = frozenset({"body"})
_CORRECTION = frozenset({"correction"})
_TO_TEAM = (
    "written",
    "written_closed",
    "documents",
    "correction",
    "call_asked",
    "request_withdrawn",
    "introduction_yes",
)

feature = Feature(
    name="portal",
    blueprints=(bp, staff_bp, message_views.bp, stock.bp, correction_views.bp, correction_views.staff_bp),
    panels=(
        Panel("top", "portal/corrections_panel.html", rows=corrections.rows, shown=corrections.shown),
        Panel("facts", "portal/answers_panel.html"),
    ),
    merge=(rows_of(PersonMessage), rows_of(StaffMessage), rows_of(Correction)),
    case_moved=(corrections.moved,),
    annex=(corrections.annex,),
    personal_data=(conversation.forget_all, corrections.forget_all),
    search_text=(
        Searched("theirs", lambda: select(PersonMessage.case_id, PersonMessage.id, PersonMessage.body)),
        Searched("ours", lambda: select(StaffMessage.case_id, StaffMessage.id, StaffMessage.body)),
    ),
    bulk=bulk.ACTIONS,
    event_sentences=(
        Sentence("person.message", "portal.event.message", "incoming", detail=_BODY, body="body"),
        Sentence("person.mailed", "portal.event.mailed", "incoming", detail=_BODY | {"from"}, body="body"),
        Sentence("person.correction", "portal.event.correction", "incoming", detail=_BODY, body="body"),
        Sentence("correction.confirmed", "portal.event.confirmed", "outgoing", codes=_CORRECTION),
        Sentence(
            "correction.declined",
            "portal.event.declined",
            "outgoing",
            codes=_CORRECTION,
            detail=frozenset({"reason"}),
            body="reason",
        ),
        Sentence(
            "message.written",
            "portal.event.written",
            "outgoing",
            codes=frozenset({"message"}),
            detail=_BODY,
            body="body",
        ),
        Sentence("message.not_sent", "portal.event.not_sent", "failed", codes=frozenset({"mail"})),
        Sentence("person.link_issued", "portal.event.link_issued", "internal"),
    ),
    digest=(MailPart(services.MAIL, at_once=True),),
    messages=(
        MessageKind("portal.link", "portal.mail.link"),
        MessageKind("portal.new_address", "portal.mail.new_address"),
        MessageKind("portal.message", "portal.mail.message", on_final=conversation.note_final),
        MessageKind("portal.corrected", "portal.mail.corrected"),
        MessageKind("portal.not_corrected", "portal.mail.not_corrected"),
        MessageKind("portal.address_changed", "portal.mail.address_changed"),
        *(
            MessageKind(f"portal.{kind}", f"portal.mail.{kind}", still_true=services.may_still_read)
            for kind in _TO_TEAM
        ),
    ),
)
