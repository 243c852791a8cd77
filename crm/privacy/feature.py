"""Plugs the registers of the law on personal information into the product."""

from crm.cases.merging import rows_of
from crm.feature import Feature, MailPart, TodayPart
from crm.privacy import services
from crm.privacy.models import RightsRequest
from crm.privacy.views import bp
from crm.timeline.sentences import Sentence

_ENTRY = frozenset({"entry"})

feature = Feature(
    name="privacy",
    blueprints=(bp,),
    annex=(services.annex,),
    today=(TodayPart("privacy", "privacy/today.html", rows=services.of_today, shown=services.shown_today),),
    digest=(MailPart("rights", in_digest=True, sections=services.digest, coordinates=True),),
    merge=(rows_of(RightsRequest),),
    event_sentences=(
        *(
            Sentence(f"rights.{what}", f"privacy.event.rights_{what}", "internal", _ENTRY)
            for what in ("recorded", "changed", "answered")
        ),
        *(
            Sentence(f"incident.{what}", f"privacy.event.incident_{what}", "internal", _ENTRY)
            for what in ("recorded", "changed", "closed")
        ),
    ),
)
