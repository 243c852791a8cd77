"""Plugs the person's own page, and what the history and the team are told of what is written there."""

from crm.cases.merging import rows_of
from crm.feature import Feature
from crm.outbox.kinds import MessageKind
from crm.portal import services
from crm.portal.models import PersonMessage
from crm.portal.views import bp, staff_bp
from crm.timeline.sentences import Sentence

_BODY = frozenset({"body"})

feature = Feature(
    name="portal",
    blueprints=(bp, staff_bp),
    merge=(rows_of(PersonMessage),),
    event_sentences=(
        Sentence("person.message", "portal.event.message", "incoming", detail=_BODY, body="body"),
        Sentence("person.correction", "portal.event.correction", "incoming", detail=_BODY, body="body"),
        Sentence("person.link_issued", "portal.event.link_issued", "internal"),
    ),
    messages=(
        MessageKind("portal.link", "portal.mail.link"),
        *(
            MessageKind(f"portal.{kind}", f"portal.mail.{kind}", still_true=services.may_still_read)
            for kind in ("written", "documents", "call_asked", "request_withdrawn", "introduction_yes")
        ),
    ),
)
