"""Plugs the financing of projects into the product."""

from crm.feature import BodyPart, Feature, MergePart, Panel
from crm.financing import body_views, by_body, services
from crm.financing.views import bp
from crm.timeline.sentences import Sentence

_CODES = frozenset({"application", "body", "status", "amount"})


def _sentence(what: str, tone: str = "internal") -> Sentence:
    return Sentence(
        f"financing.{what}",
        f"financing.event.{what}",
        tone,
        _CODES,
        frozenset({"body_name", "note"}),
        labels={"status": "financing.status"},
        formats={"amount": "amount"},
        body="note",
    )


feature = Feature(
    name="financing",
    blueprints=(bp, body_views.bp),
    panels=(Panel("side", "financing/panel.html", rows=services.rows, shown=services.shown),),
    case_guards=(services.guard,),
    body_parts=(BodyPart("financing/body_part.html", by_body.load),),
    merge=(MergePart("financing", services.move_on, services.move_back),),
    event_sentences=(
        _sentence("added"),
        _sentence("changed"),
        _sentence("moved", "referral"),
        _sentence("said", "incoming"),
        _sentence("said_anew", "incoming"),
        Sentence(
            "financing.planned",
            "financing.event.planned",
            codes=frozenset({"budget", "own"}),
            formats={"budget": "amount", "own": "amount"},
        ),
    ),
)
