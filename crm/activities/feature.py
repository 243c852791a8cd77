"""Plugs activities into the product."""

from crm.activities import services
from crm.activities.views import bp
from crm.feature import Feature
from crm.outbox.kinds import MessageKind
from crm.timeline.sentences import Sentence

feature = Feature(
    name="activities",
    blueprints=(bp,),
    event_sentences=tuple(
        Sentence(f"activity.{what}", f"activities.event.{what}", tone, frozenset({"activity"}))
        for what, tone in (
            ("asked", "incoming"),
            ("released", "internal"),
            ("taken", "move"),
            ("planned", "move"),
            ("held", "move"),
            ("declined", "move"),
        )
    ),
    messages=(
        MessageKind("activities.received", "activities.mail.received"),
        MessageKind("activities.told", "activities.mail.told", still_true=services.still_asked),
    ),
)
